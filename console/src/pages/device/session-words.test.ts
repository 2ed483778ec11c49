import { describe, expect, it } from 'vitest';
import { reasons } from './session-words';

describe('why a device came', () => {
  it('is said in words', () => {
    expect(reasons(['2 PERIODIC'])).toBe('at its interval');
    expect(reasons(['0 BOOTSTRAP', '1 BOOT'])).toBe('for the first time here or after a factory reset, started');
  });

  it('is said once, and as the device says it where we have no word', () => {
    expect(reasons(['1 BOOT', '1 boot', 'X 00D09E LED'])).toBe('started, X 00D09E LED');
    expect(reasons([])).toBe('it gave no reason');
  });
});

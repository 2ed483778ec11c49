import { describe, expect, it } from 'vitest';
import { timeValue } from './time-value';

describe('a time as a device writes it', () => {
  it('that is the unknown time is not known, with or without zone and fraction', () => {
    for (const text of ['0001-01-01T00:00:00Z', '0001-01-01T00:00:00', '0001-01-01T00:00:00.000000Z']) {
      expect(timeValue(text)).toEqual({ words: 'not known', at: undefined });
    }
  });

  it('that is infinite is never', () => {
    expect(timeValue('9999-12-31T23:59:59Z')?.words).toBe('never');
  });

  it('of the year 1 counts from the start of the device', () => {
    expect(timeValue('0001-01-02T03:00:00Z')?.words).toBe('1 d 3 h after its start');
  });

  it('is a moment otherwise, and nothing when it is no time', () => {
    expect(timeValue('2026-01-31T12:00:00Z')?.at).toBe(Date.UTC(2026, 0, 31, 12));
    expect(timeValue('2026-01-31T12:00:00Z')?.words).toMatch(/^2026-/);
    expect(timeValue('soon')).toBeUndefined();
  });
});

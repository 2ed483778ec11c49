import { describe, expect, it } from 'vitest';
import { bytes } from './size';

describe('amounts', () => {
  it('are written as people do', () => {
    expect([bytes(0), bytes(999), bytes(1500), bytes(123_456_789)]).toEqual(['0 B', '999 B', '1.5 kB', '123 MB']);
    expect(bytes(undefined)).toBeUndefined();
  });
});

import { describe, expect, it } from 'vitest';
import { duration, exact, parseTime, relative } from './time';

describe('times in words', () => {
  it('uses one unit below an hour', () => {
    expect(duration(12_000)).toBe('12 s');
    expect(duration(4 * 60_000 + 59_000)).toBe('4 min');
  });

  it('adds the smaller unit while it still says something', () => {
    expect(duration(3 * 3_600_000 + 20 * 60_000)).toBe('3 h 20 min');
    expect(duration(30 * 3_600_000)).toBe('1 d 6 h');
    expect(duration(40 * 86_400_000 + 3_600_000)).toBe('40 d');
  });

  it('says "just now" within five seconds either way', () => {
    expect(relative(1000, 4000)).toBe('just now');
    expect(relative(4000, 1000)).toBe('just now');
  });

  it('tells past from future', () => {
    expect(relative(0, 60_000)).toBe('1 min ago');
    expect(relative(60_000, 0)).toBe('in 1 min');
  });

  it('gives the exact time with its offset', () => {
    expect(exact(Date.UTC(2026, 0, 2, 3, 4, 5, 6))).toMatch(/^2026-01-0[123] \d\d:\d\d:05\.006 [+-]\d\d:\d\d$/);
  });

  it('knows what is no time', () => {
    expect(parseTime('2026-01-02T03:04:05.006Z')).toBe(Date.UTC(2026, 0, 2, 3, 4, 5, 6));
    expect(parseTime('never')).toBeUndefined();
    expect(parseTime(null)).toBeUndefined();
  });
});

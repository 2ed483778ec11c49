import { describe, expect, it } from 'vitest';
import type { ValueType } from '~/api/devices';
import { checkValue } from './value-check';

const type = (base: string, more: Partial<ValueType> = {}): ValueType => ({ base, list: false, enumeration: [], ranges: [], words: base, ...more });

describe('typed values', () => {
  it('keeps whole numbers in their type and range', () => {
    expect(checkValue(type('unsignedInt'), '7')).toBeUndefined();
    expect(checkValue(type('unsignedInt'), '-1')).toMatch(/from 0/);
    expect(checkValue(type('int'), '1.5')).toBe('a whole number');
    expect(checkValue(type('unsignedLong'), '18446744073709551615')).toBeUndefined();
    expect(checkValue(type('unsignedLong'), '18446744073709551616')).toBeDefined();
    expect(checkValue(type('unsignedInt', { ranges: [{ min: '1', max: '13' }, { min: '36' }] }), '14')).toBe('1 to 13 or 36 to any');
  });

  it('wants one of the allowed words', () => {
    const band = type('string', { enumeration: ['2.4GHz', '5GHz'] });
    expect(checkValue(band, '5GHz')).toBeUndefined();
    expect(checkValue(band, '5 GHz')).toBe('one of 2.4GHz, 5GHz');
  });

  it('checks every item of a list, and an empty list is a list', () => {
    const list = type('unsignedInt', { list: true });
    expect(checkValue(list, '')).toBeUndefined();
    expect(checkValue(list, '1, 6,11')).toBeUndefined();
    expect(checkValue(list, '1,x')).toBe('"x": a whole number');
  });

  it('counts characters, not code units', () => {
    expect(checkValue(type('string', { length_max: 2 }), '😀😀')).toBeUndefined();
    expect(checkValue(type('string', { length_min: 8 }), 'short')).toMatch(/at least 8/);
  });

  it('knows times, hexadecimal and base64', () => {
    expect(checkValue(type('dateTime'), '2026-01-31T12:00:00Z')).toBeUndefined();
    expect(checkValue(type('dateTime'), 'tomorrow')).toBeDefined();
    expect(checkValue(type('hexBinary'), '0aF')).toBeDefined();
    expect(checkValue(type('base64'), 'YQ==')).toBeUndefined();
  });

  it('says nothing about a type nobody knows', () => {
    expect(checkValue(type('unknown'), 'anything')).toBeUndefined();
    expect(checkValue(undefined, 'anything')).toBeUndefined();
  });
});

import { describe, expect, it } from 'vitest';
import { chips, parseTyped, withFilter, withoutFilter } from './filters';

describe('filters as words', () => {
  it('reads a field and the beginning of its value', () => {
    expect(parseTyped('model: hg')).toMatchObject({ field: { key: 'model' }, text: 'hg' });
    expect(parseTyped('software:')).toMatchObject({ field: { key: 'software_version' }, text: '' });
  });

  it('takes an endpoint id or a MAC for text, not for a field', () => {
    expect(parseTyped('os::00D09E-1')).toEqual({ text: 'os::00D09E-1' });
    expect(parseTyped('aa:bb:cc:dd:ee:ff')).toEqual({ text: 'aa:bb:cc:dd:ee:ff' });
  });

  it('adds values of one field and takes them away again', () => {
    const one = withFilter({}, 'presence', 'online');
    const two = withFilter(one, 'presence', 'offline');
    expect(two).toEqual({ presence: ['online', 'offline'] });
    expect(withFilter(two, 'presence', 'online')).toBe(two);
    expect(withoutFilter(withoutFilter(two, 'presence', 'online'), 'presence', 'offline')).toEqual({});
  });

  it('shows each set value as one chip', () => {
    expect(chips({ q: 'x', model: ['A', 'B'], serial: ['7'] }).map((chip) => `${chip.label}=${chip.value}`)).toEqual([
      'text=x', 'model=A', 'model=B', 'serial=7',
    ]);
  });
});

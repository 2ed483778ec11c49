import { describe, expect, it } from 'vitest';
import type { ModelCommand } from '~/api/devices';
import { notReady } from './arguments';

type Argument = ModelCommand['inputs'][number];
const argument = (name: string, mandatory: boolean, base = 'string'): Argument => ({ name, mandatory, type: { base, words: base, list: false, enumeration: [], ranges: [] } });

const ping = [argument('Host', true), argument('Interface', false), argument('NumberOfRepetitions', false, 'unsignedInt')];

describe('the arguments of a command', () => {
  it('are not enough while a mandatory one is missing, and it is named', () => {
    expect(notReady(ping, {})).toContain('Host');
    expect(notReady(ping, { Host: '' })).toContain('Host');
    expect(notReady([...ping, argument('Port', true)], {})).toContain('Host, Port');
  });

  it('are enough without those that are not mandatory', () => {
    expect(notReady(ping, { Host: '192.0.2.1' })).toBeUndefined();
    expect(notReady([], {})).toBeUndefined();
  });

  it('have to fit their types', () => {
    expect(notReady(ping, { Host: '192.0.2.1', NumberOfRepetitions: 'many' })).toBe('An argument is not right.');
    expect(notReady(ping, { Host: '192.0.2.1', NumberOfRepetitions: '4' })).toBeUndefined();
  });
});

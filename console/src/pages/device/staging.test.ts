import { describe, expect, it } from 'vitest';
import type { Operation, PathResult, Step } from '~/api/operations';
import { opIndex, tickOf, toOps, withStaged, type Staged } from './staging';

const set = (path: string, from: string | undefined, to: string, secret = false): Staged => ({ kind: 'set', path, from, to, secret });
const add: Staged = { kind: 'add', id: 1, object: 'Device.NAT.PortMapping.', parameters: [{ name: 'Enable', value: 'true', secret: false }] };
const remove: Staged = { kind: 'delete', path: 'Device.NAT.PortMapping.2.', hint: undefined };

function operation(step: Partial<Step>, state: Operation['state'] = 'running'): Operation {
  return { state, state_words: 'words', steps: [{ index: 0, summary: '', state: 'waiting', results: [], output: {}, truncated: false, ...step }] } as unknown as Operation;
}
const result = (path: string, verified: boolean | null, error?: string): PathResult =>
  ({ path, verified, error: error ? { who: 'device', message: error } : null }) as PathResult;

describe('staged changes', () => {
  it('stages one parameter once and forgets it when it is set back', () => {
    const one = withStaged([], set('A.B', 'x', 'y'));
    const two = withStaged(one, set('A.B', 'x', 'z'));
    expect(two).toHaveLength(1);
    expect(withStaged(two, set('A.B', 'x', 'x'))).toEqual([]);
  });

  it('never takes a secret for unchanged, because it reads empty', () => {
    expect(withStaged([], set('A.Key', '', '', true))).toHaveLength(1);
  });

  it('adds rows first, sets everything in one message, deletes last', () => {
    const list = [remove, set('A.B', 'x', 'y'), add, set('A.C', '1', '2')];
    expect(toOps(list).map((op) => op.kind)).toEqual(['add', 'set', 'delete']);
    expect(list.map((one) => opIndex(list, one))).toEqual([2, 1, 0, 1]);
    expect(opIndex([remove], remove)).toBe(0);
  });

  it('follows a change from waiting to verified', () => {
    const change = set('A.B', 'x', 'y');
    expect(tickOf(change, undefined).tick).toBe('waiting');
    expect(tickOf(change, operation({})).tick).toBe('waiting');
    expect(tickOf(change, operation({ state: 'sent' })).tick).toBe('sent');
    expect(tickOf(change, operation({ state: 'verifying' })).tick).toBe('accepted');
    expect(tickOf(change, operation({ state: 'done', results: [result('A.B', true)] })).tick).toBe('verified');
    expect(tickOf(change, operation({ state: 'done', results: [result('A.B', null)] })).tick).toBe('unverified');
  });

  it('says what the device said when it refused one path', () => {
    const change = set('A.B', 'x', 'y');
    expect(tickOf(change, operation({ state: 'failed', results: [result('A.B', null, 'out of range')] }))).toEqual({ tick: 'failed', message: 'out of range' });
  });

  it('does not call an expired operation waiting', () => {
    expect(tickOf(set('A.B', 'x', 'y'), operation({}, 'expired')).tick).toBe('failed');
  });

  it('does not call a value that reads back differently verified', () => {
    expect(tickOf(set('A.B', 'x', 'y'), operation({ state: 'partly', results: [result('A.B', false)] })).tick).toBe('failed');
  });
});

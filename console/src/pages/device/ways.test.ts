import { describe, expect, it } from 'vitest';
import { ways } from './ways';

const attempt = (method: string, ok: boolean) => ({ method, ok, at: '2026-01-01T00:00:00Z', address: 'a', took_ms: 3, words: 'w' });

describe('the ways to a device', () => {
  it('are those that it told, each with its last attempt, and those that it lacks', () => {
    const found = ways({ protocol: 'cwmp', methods: [{ method: 'http', address: 'http://192.0.2.1:7547/' }], attempts: [attempt('http', false), attempt('http', true), attempt('udp', true)] });
    expect(found.map((one) => [one.method, one.known, one.last?.ok, one.tried])).toEqual([
      ['http', true, false, 2],
      ['udp', false, true, 1],
      ['xmpp', false, undefined, 0],
    ]);
  });

  it('say why one of them cannot be used', () => {
    const problem = 'its ConnectionRequestURL cannot be used: it names no host';
    const found = ways({ protocol: 'cwmp', methods: [{ method: 'http', address: 'http://', problem }], attempts: [] });
    expect(found.map((one) => one.problem)).toEqual([problem, undefined, undefined]);
  });

  it('of a device that keeps its link are the link, or dialling it', () => {
    expect(ways({ protocol: 'usp', methods: [{ method: 'link', address: null }], attempts: [] })).toEqual([{ method: 'link', address: undefined, known: true, problem: undefined, last: undefined, tried: 0 }]);
    const dialled = ways({ protocol: 'usp', methods: [{ method: 'dial', address: 'ws://192.0.2.1/' }], attempts: [attempt('websocket', false)] });
    expect(dialled[0]?.last?.ok).toBe(false);
    expect(ways({ protocol: 'usp', methods: [], attempts: [] })).toEqual([]);
  });
});

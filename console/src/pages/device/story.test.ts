import { describe, expect, it } from 'vitest';
import type { Event } from '~/api/events';
import { story } from './story';

let cursor = 100;
const event = (kind: string, more: object = {}): Event =>
  ({ cursor: String(cursor--), at: '2026-01-01T00:00:00.000Z', kind, summary: kind, data: {}, actor: { kind: 'system', id: null, name: 'system' }, ...more }) as Event;
const person = { actor: { kind: 'user', id: null, name: 'ada' } };

describe('the story of a device', () => {
  it('tells an operation once, by its end, and who asked for it', () => {
    const told = story([event('operation.finished', { operation_id: 'a' }), event('operation.waiting', { operation_id: 'a' }), event('operation.queued', { operation_id: 'a', ...person })]);
    expect(told.map((one) => [one.event.kind, one.by])).toEqual([['operation.finished', 'ada']]);
  });

  it('tells an operation under way by its latest step', () => {
    const told = story([event('operation.waiting', { operation_id: 'a' }), event('operation.queued', { operation_id: 'a', ...person }), event('device.connected')]);
    expect(told.map((one) => one.event.kind)).toEqual(['operation.waiting', 'device.connected']);
  });

  it('leaves out that a credential was handed over once the device came with it', () => {
    const told = story([event('device.credential', { data: { state: 'current' } }), event('device.disconnected'), event('device.credential', { data: { state: 'pending' } })]);
    expect(told.map((one) => one.event.kind)).toEqual(['device.credential', 'device.disconnected']);
    expect(story([event('device.credential', { data: { state: 'pending' } })])).toHaveLength(1);
  });
});

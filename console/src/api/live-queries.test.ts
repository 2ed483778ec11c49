import { QueryClient } from '@tanstack/react-query';
import { describe, expect, it } from 'vitest';
import type { Device } from './devices';
import { gather, gatherNothing, isShort, patchRow } from './live-queries';

describe('what an event changes', () => {
  it('a connection changes the device and what is known of it', () => {
    const g = gatherNothing();
    gather(g, { kind: 'device.connected', device_id: 'a' });
    expect([...g.devices]).toEqual(['a']);
    expect(g.membership).toBe(false);
  });

  it('a new device changes the list itself', () => {
    const g = gatherNothing();
    gather(g, { kind: 'device.created', device_id: 'a' });
    expect(g.membership).toBe(true);
  });

  it('a notification changes values, not the row', () => {
    const g = gatherNothing();
    gather(g, { kind: 'device.value_changed', device_id: 'a' });
    expect(g.devices.size).toBe(0);
    expect([...g.values]).toEqual(['a']);
  });

  it('a connection that was turned away changes the doctor, and the device it was', () => {
    const g = gatherNothing();
    gather(g, { kind: 'connection.refused', device_id: 'a' });
    expect(g.refused).toBe(true);
    expect([...g.devices]).toEqual(['a']);
    expect(g.values.size).toBe(0);
  });

  it('devices that were made one, or two, change the list and what there is to decide', () => {
    for (const kind of ['device.merged', 'device.split']) {
      const g = gatherNothing();
      gather(g, { kind, device_id: 'a' });
      expect([g.membership, g.matches]).toEqual([true, true]);
    }
  });

  it('an operation changes itself and its device', () => {
    const g = gatherNothing();
    gather(g, { kind: 'operation.finished', device_id: 'a', operation_id: 'o' });
    expect([...g.operations]).toEqual(['o']);
    expect([...g.devices]).toEqual(['a']);
  });
});

describe('reading a list again', () => {
  it('is for short ones: a list scrolled far down would be read page after page', () => {
    const pages = (n: number) => ({ state: { data: { pages: Array.from({ length: n }, () => ({ items: [] })), pageParams: [] } } });
    expect(isShort(pages(5))).toBe(true);
    expect(isShort(pages(6))).toBe(false);
    expect(isShort({ state: { data: { id: 'a device' } } })).toBe(true);
    expect(isShort({ state: {} })).toBe(true);
  });
});

describe('patching a row', () => {
  it('replaces the row in its place and leaves other pages alone', () => {
    const queries = new QueryClient();
    const row = (id: string, name: string) => ({ id, name }) as Device;
    const key = ['devices', 'list', {}];
    const before = {
      pages: [{ items: [row('a', 'A'), row('b', 'B')], next: 'x' }, { items: [row('c', 'C')], next: null }],
      pageParams: [undefined, 'x'],
    };
    queries.setQueryData(key, before);
    patchRow(queries, row('b', 'B2'));
    const after = queries.getQueryData<typeof before>(key);
    expect(after?.pages[0]?.items.map((d) => d.name)).toEqual(['A', 'B2']);
    expect(after?.pages[1]).toBe(before.pages[1]);
  });
});

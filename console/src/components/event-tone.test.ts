import { describe, expect, it } from 'vitest';
import type { Event } from '~/api/events';
import { eventTone } from './event-tone';

const tone = (kind: string, data: object) => eventTone({ kind, data: data as Event['data'] });

describe('what an event means at a glance', () => {
  it('is bad when a device disconnects by itself, and nothing special when we made it leave', () => {
    const gone = (expected: string | null) => tone('device.disconnected', { reason: 'closed', expected });
    expect(gone(null)).toBe('bad');
    expect(gone('credential')).toBe('idle');
    expect(gone('restart')).toBe('idle');
  });

  it('is a warning when one of the paths of a device ends, and it stays over another', () => {
    expect(tone('device.disconnected', { reason: 'closed', expected: null, still: ['mqtt'] })).toBe('warn');
    expect(tone('device.disconnected', { reason: 'closed', expected: null, still: [] })).toBe('bad');
  });

  it('of a finished operation is that of its state', () => {
    expect(tone('operation.finished', { state: 'failed' })).toBe('bad');
    expect(tone('operation.finished', { state: 'succeeded' })).toBe('ok');
  });
});

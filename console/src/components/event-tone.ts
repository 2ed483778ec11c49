// What an event means at a glance.
import type { Schemas } from '~/api/client';
import type { Tone } from './state';

const tones: Record<string, Tone> = {
  'device.connected': 'ok',
  'device.onboarded': 'ok',
  'device.created': 'ok',
  'device.readmitted': 'ok',
  'device.disconnected': 'bad',
  'device.deleted': 'bad',
  'device.onboarding_failed': 'bad',
  'device.misbehaved': 'bad',
  'connection.refused': 'bad',
  'device.silent': 'warn',
  'device.wake_failed': 'warn',
  'device.match_found': 'warn',
  'device.taken_over': 'warn',
  'device.booted': 'busy',
  'device.firmware_changed': 'busy',
  'operation.queued': 'waiting',
  'operation.waiting': 'waiting',
  'operation.started': 'busy',
  'operation.verifying': 'busy',
};

const ends: Record<string, Tone> = { succeeded: 'ok', partly: 'warn', failed: 'bad', expired: 'bad', cancelled: 'idle', unconfirmed: 'warn' };

export function eventTone(event: Pick<Schemas['Event'], 'kind' | 'data'>): Tone {
  const data = event.data as Record<string, unknown> | undefined;
  if (event.kind === 'operation.finished') {
    const state = data?.state;
    return (typeof state === 'string' ? ends[state] : undefined) ?? 'idle';
  }
  // We made it leave: nothing is wrong.
  if (event.kind === 'device.disconnected' && data?.expected) return 'idle';
  // It is there over another path.
  if (event.kind === 'device.disconnected' && Array.isArray(data?.still) && data.still.length > 0) return 'warn';
  return tones[event.kind] ?? 'idle';
}

/** What tells a story: without the value changes and periodic reports that devices send all the time. */
export const telling = [
  'device.created', 'device.updated', 'device.deleted', 'device.merged', 'device.split', 'device.match_found', 'device.match_rejected', 'device.connected', 'device.disconnected', 'device.silent', 'device.wake_failed',
  'device.taken_over', 'device.onboard_request', 'device.onboarded', 'device.onboarding_failed', 'device.credential', 'device.wake_credential', 'device.readmitted',
  'device.booted', 'device.firmware_changed', 'device.object_created', 'device.object_deleted', 'device.command_completed',
  'device.model_discovered', 'device.misbehaved', 'connection.refused', 'operation.queued', 'operation.waiting', 'operation.finished',
  'operation.cancel_requested',
];

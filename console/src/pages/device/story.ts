// The story of a device out of its events, newest first: an operation is told once, by its end, with who asked for it;
// steps that only lead to the next one are left out. Pure.
import type { Event } from '~/api/events';

export interface Told {
  event: Event;
  /** Who did it or asked for it, when that was a person or a program. */
  by: string | undefined;
}

const steps = new Set(['operation.queued', 'operation.waiting', 'operation.started', 'operation.verifying']);

export function story(events: readonly Event[]): Told[] {
  const told: Told[] = [];
  const known = new Map<string, Told>();
  let credentialSettled = false;
  for (const event of events) {
    const by = event.actor && event.actor.kind !== 'device' && event.actor.kind !== 'system' ? event.actor.name : undefined;
    const id = event.operation_id;
    if (id) {
      const later = known.get(id);
      if (later && steps.has(event.kind)) {
        later.by ??= by;
        continue;
      }
    }
    if (event.kind === 'device.credential') {
      const { state } = event.data as { state?: string };
      if (state === 'pending' && credentialSettled) continue;
      credentialSettled = state !== 'pending';
    }
    const one = { event, by };
    told.push(one);
    if (id) known.set(id, one);
  }
  return told;
}

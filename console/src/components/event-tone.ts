// What an event's kind means at a glance.
import type { Tone } from './state';

export function eventTone(kind: string): Tone {
  const last = kind.slice(kind.lastIndexOf('.') + 1);
  if (['connected', 'registered', 'succeeded', 'readmitted', 'created', 'discovered'].includes(last)) return 'ok';
  if (['disconnected', 'failed', 'refused', 'expired', 'removed', 'deleted', 'revoked'].includes(last)) return 'bad';
  if (['partly', 'unconfirmed', 'flapping', 'superseded'].includes(last)) return 'warn';
  if (['queued', 'cancelled'].includes(last)) return 'waiting';
  if (['running', 'started', 'verifying', 'claimed', 'sent'].includes(last)) return 'busy';
  return 'idle';
}

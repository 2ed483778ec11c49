// What the presence of a device amounts to at a moment. Pure.
import type { Schemas } from '~/api/client';
import { parseTime } from '~/lib/time';
import type { Tone } from './state';

type Presence = Schemas['Presence'];

/** The word to show: `back` is a device that left as it was asked to and is expected to be here again. */
export type ShownWord = Presence['word'] | 'back';

export const presenceTones: Record<ShownWord, Tone> = { online: 'ok', silent: 'warn', offline: 'bad', never: 'waiting', back: 'busy' };

/** Leaving as one was asked to, as for a restart, is no loss until the time for it is over. */
export function shownWord(presence: Pick<Presence, 'word' | 'expected_by'>, now: number): ShownWord {
  const by = parseTime(presence.expected_by);
  return presence.word === 'offline' && by !== undefined && by > now ? 'back' : presence.word;
}

/** How an operation for it gets there: at once, when the device comes at its interval, or when it is back. */
export type Wait = 'none' | 'interval' | 'back' | 'gone';

export function waitOf(presence: Pick<Presence, 'word' | 'expected_by' | 'linked'>, now: number): Wait {
  if (presence.linked) return presence.word === 'silent' ? 'gone' : 'none';
  if (shownWord(presence, now) === 'back') return 'back';
  return presence.word === 'online' ? 'interval' : 'gone';
}

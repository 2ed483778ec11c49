// Times as devices write them (TR-106 3.3): besides moments there are times that say "not known" and "never",
// and times since the device started, written as dates of the year 1.
import { t } from '~/text';
import { duration, exact } from './time';

const UNKNOWN = '0001-01-01T00:00:00';
const NEVER = '9999-12-31T23:59:59';

export interface TimeValue {
  words: string;
  /** The moment, where it is one. */
  at: number | undefined;
}

/** What such a text means; undefined when it is no time. */
export function timeValue(text: string): TimeValue | undefined {
  if (text.startsWith(UNKNOWN)) return { words: t.common.unknown, at: undefined };
  if (text.startsWith(NEVER)) return { words: t.common.never, at: undefined };
  const at = Date.parse(text);
  if (Number.isNaN(at)) return undefined;
  if (text.startsWith('0001-')) return { words: t.common.sinceStart(duration(at - Date.parse(`${UNKNOWN}Z`))), at: undefined };
  return { words: exact(at).replace(/\.\d+/, ''), at };
}

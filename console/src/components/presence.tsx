// Whether a device can be talked to: one word, with the evidence behind it.
import type { Schemas } from '~/api/client';
import { useClock } from '~/lib/clock';
import { parseTime } from '~/lib/time';
import { t } from '~/text';
import { presenceTones, shownWord } from './presence-words';
import { State } from './state';
import { Ago } from './time';

export function PresenceState({ presence, strong }: { presence: Schemas['Presence']; strong?: boolean }) {
  const shown = useClock((now) => shownWord(presence, now));
  const word = <State tone={presenceTones[shown]} strong={strong}>{t.presence[shown]}</State>;
  const hint = shown === 'back' ? t.presence.backHint : presence.evidence_source ? t.presence.source(presence.evidence_source) : undefined;
  // A plain title: a table has one in each row, and rows come and go while it is scrolled.
  return hint ? <span title={hint}>{word}</span> : word;
}

/** "last heard 2 min ago, message" */
export function Evidence({ presence }: { presence: Schemas['Presence'] }) {
  if (!presence.evidence_at) return <span className="dim">{t.presence.noEvidence}</span>;
  return (
    <span className="dim">
      {t.presence.lastHeard} <Ago at={presence.evidence_at} />
      {presence.evidence_source ? `, ${presence.evidence_source}` : ''}
    </span>
  );
}

/** "expected again in 4 min", of a device without a link that comes at intervals or was sent away; else nothing. */
export function Expected({ presence }: { presence: Schemas['Presence'] }) {
  const by = parseTime(presence.expected_by);
  const late = useClock((now) => by !== undefined && by <= now);
  return by === undefined ? null : <span className="dim">{late ? t.presence.wasExpected : t.presence.expected} <Ago at={presence.expected_by} /></span>;
}

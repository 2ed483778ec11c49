// Whether a device can be talked to: one word, with the evidence behind it.
import type { Schemas } from '~/api/client';
import type { PresenceWord } from '~/api/devices';
import { t } from '~/text';
import { State, type Tone } from './state';
import { Ago } from './time';

const presenceTone: Record<PresenceWord, Tone> = { online: 'ok', silent: 'warn', offline: 'bad', never: 'waiting' };

export function PresenceState({ presence, strong }: { presence: Schemas['Presence']; strong?: boolean }) {
  const word = <State tone={presenceTone[presence.word]} strong={strong}>{t.presence[presence.word]}</State>;
  if (!presence.evidence_source) return word;
  // A plain title: a table has one in each row, and rows come and go while it is scrolled.
  return <span title={t.presence.source(presence.evidence_source)}>{word}</span>;
}

/** "last heard 2 min ago, WebSocket pong" */
export function Evidence({ presence }: { presence: Schemas['Presence'] }) {
  if (!presence.evidence_at) return <span className="dim">{t.presence.noEvidence}</span>;
  return (
    <span className="dim">
      {t.presence.lastHeard} <Ago at={presence.evidence_at} />
      {presence.evidence_source ? `, ${presence.evidence_source}` : ''}
    </span>
  );
}

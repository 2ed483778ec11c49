// What went over the wire, read like a conversation: who said what, how long after the first word.
import { Button } from '@mantine/core';
import { useState, type ReactNode } from 'react';
import type { TranscriptEntry } from '~/api/operations';
import { clockTime, duration, exact, parseTime } from '~/lib/time';
import { t } from '~/text';
import { CopyButton } from './copy';
import { Icon } from './icon';
import classes from './transcript.module.css';

/** Lines of a message shown at first: a screen's half. */
const LINES_SHOWN = 30;

/** One message; they are told apart by their place. */
export type Said = Pick<TranscriptEntry, 'at' | 'direction' | 'kind' | 'text'> & { masked?: boolean; transport?: TranscriptEntry['transport'] };

export function Conversation({ entries, closedFirst, children }: { entries: Said[] | undefined; closedFirst?: boolean; children?: ReactNode }) {
  const o = t.operations;
  // Those that are not as they were at first.
  const [turned, setTurned] = useState<ReadonlySet<number>>(new Set());
  const isOpen = (index: number) => turned.has(index) === (closedFirst === true);
  const first = parseTime(entries?.[0]?.at) ?? 0;
  const asText = (entries ?? []).map((e) => `${e.at} ${e.direction} ${e.kind}${e.transport ? ` ${t.operations.overTransport(e.transport)}` : ''}\n${e.text}`).join('\n\n');
  const allClosed = entries !== undefined && entries.every((_, index) => !isOpen(index));
  const turnAll = () => setTurned(allClosed === (closedFirst === true) ? new Set(entries?.keys()) : new Set());
  const toggle = (index: number) => setTurned((old) => new Set(old.has(index) ? [...old].filter((one) => one !== index) : [...old, index]));
  return (
    <section className="stack" aria-label={o.transcript}>
      <div className="row">
        <h2>{o.transcript}</h2>
        <span className="dim small">{o.transcriptHint}</span>
        {entries && entries.length > 0 ? (
          <>
            <CopyButton value={asText} label={o.transcriptCopy} />
            <Button size="compact-xs" variant="subtle" onClick={turnAll}>{allClosed ? o.openAll : o.closeAll}</Button>
          </>
        ) : null}
      </div>
      {children}
      <ol className={classes.list}>
        {entries?.map((entry, index) => <Message key={index} entry={entry} first={first} open={isOpen(index)} onToggle={() => toggle(index)} />)}
      </ol>
    </section>
  );
}

/** The device refused what it was asked. */
const isFault = ({ direction, kind }: Said) => direction === 'received' && (kind === 'Fault' || kind === 'Error');

function Message({ entry, first, open, onToggle }: { entry: Said; first: number; open: boolean; onToggle: () => void }) {
  const at = parseTime(entry.at) ?? 0;
  return (
    <li className={classes.message} data-direction={entry.direction} data-fault={isFault(entry) || undefined}>
      <button type="button" className={classes.head} aria-expanded={open} onClick={onToggle}>
        <Icon name={entry.direction === 'sent' ? 'right' : entry.direction === 'received' ? 'left' : 'info'} size={12} />
        <span>{t.operations.directions[entry.direction]}</span>
        <strong>{entry.direction === 'note' ? '' : entry.kind}</strong>
        {entry.transport ? <span className="dim">{t.operations.overTransport(entry.transport)}</span> : null}
        {entry.masked ? <span className="row tight" title={t.operations.maskedHint}><Icon name="lock" size={11} />{t.operations.masked}</span> : null}
        <span className="grow" />
        <time className="num" dateTime={entry.at} title={exact(at)}>{at === first ? clockTime(at) : `+${duration(at - first)}`}</time>
      </button>
      {open ? <Words text={entry.text} /> : null}
    </li>
  );
}

/** The message: names dim, values plain, and only the beginning of a long one until more is wanted. */
function Words({ text }: { text: string }) {
  const [all, setAll] = useState(false);
  const lines = text.replace(/\n+$/, '').split('\n');
  const shown = all ? lines : lines.slice(0, LINES_SHOWN);
  return (
    <>
      <pre className={`mono ${classes.text}`}>
        {shown.map((line, i) => {
          const cut = line.indexOf(' = ');
          return <span key={i}>{cut < 0 ? line : <>{line.slice(0, cut)}<i> = </i><b>{line.slice(cut + 3)}</b></>}{'\n'}</span>;
        })}
      </pre>
      {shown.length < lines.length ? <div className={classes.all}><Button size="compact-xs" onClick={() => setAll(true)}>{t.operations.allLines(lines.length)}</Button></div> : null}
    </>
  );
}

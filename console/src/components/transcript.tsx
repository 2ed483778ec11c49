// What went over the wire for an operation, read like a conversation: who said what, how long after the first word.
import { Button, Skeleton } from '@mantine/core';
import { useInfiniteQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { isFinal, transcriptQuery, type Operation, type TranscriptEntry } from '~/api/operations';
import { clockTime, duration, exact, parseTime } from '~/lib/time';
import { t } from '~/text';
import { CopyButton } from './copy';
import { Icon } from './icon';
import { Failure } from './notice';
import classes from './transcript.module.css';

/** Lines of a message shown at first: a screen's half. */
const LINES_SHOWN = 30;

export function Transcript({ operation }: { operation: Operation }) {
  const o = t.operations;
  const list = useInfiniteQuery(transcriptQuery(operation.id));
  const entries = list.data?.pages.flatMap((page) => page.items);
  const [closed, setClosed] = useState<ReadonlySet<number>>(new Set());
  const first = parseTime(entries?.[0]?.at) ?? 0;
  const asText = (entries ?? []).map((e) => `${e.at} ${e.direction} ${e.kind}\n${e.text}`).join('\n\n');
  const allClosed = entries !== undefined && entries.length > 0 && entries.every((entry) => closed.has(entry.index));
  const toggle = (index: number) => setClosed((old) => new Set(old.has(index) ? [...old].filter((one) => one !== index) : [...old, index]));
  return (
    <section className="stack" aria-label={o.transcript}>
      <div className="row">
        <h2>{o.transcript}</h2>
        <span className="dim small">{o.transcriptHint}</span>
        {entries && entries.length > 0 ? (
          <>
            <CopyButton value={asText} label={o.transcriptCopy} />
            <Button size="compact-xs" variant="subtle" onClick={() => setClosed(allClosed ? new Set() : new Set(entries.map((entry) => entry.index)))}>{allClosed ? o.openAll : o.closeAll}</Button>
          </>
        ) : null}
      </div>
      {list.error ? <Failure error={list.error} retry={() => void list.refetch()} /> : null}
      {!entries && !list.error ? <div className="stack" aria-busy="true"><Skeleton height={26} /><Skeleton height={26} /></div> : null}
      {entries?.length === 0 ? <p className="dim">{!isFinal(operation.state) ? o.transcriptEmpty : operation.attempts === 0 ? o.transcriptNone : o.transcriptLost}</p> : null}
      <ol className={classes.list}>
        {entries?.map((entry) => <Message key={entry.index} entry={entry} first={first} open={!closed.has(entry.index)} onToggle={() => toggle(entry.index)} />)}
      </ol>
      {list.hasNextPage ? <div><Button size="compact-sm" loading={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>{t.common.more}</Button></div> : null}
    </section>
  );
}

function Message({ entry, first, open, onToggle }: { entry: TranscriptEntry; first: number; open: boolean; onToggle: () => void }) {
  const at = parseTime(entry.at) ?? 0;
  return (
    <li className={classes.message} data-direction={entry.direction}>
      <button type="button" className={classes.head} aria-expanded={open} onClick={onToggle}>
        <Icon name={entry.direction === 'sent' ? 'right' : entry.direction === 'received' ? 'left' : 'info'} size={12} />
        <span>{t.operations.directions[entry.direction]}</span>
        <strong>{entry.direction === 'note' ? '' : entry.kind}</strong>
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

// An operation in full: its steps with before, asked for and after, who refused what, and the transcript.
import { Button } from '@mantine/core';
import { useInfiniteQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { transcriptQuery, type Operation, type PathResult, type Step, type StepError } from '~/api/operations';
import { clockTime, exact, parseTime } from '~/lib/time';
import { t } from '~/text';
import { CopyButton } from './copy';
import { Icon } from './icon';
import { Failure, Note } from './notice';
import { StepStateWord } from './operation-state';
import { State } from './state';
import classes from './operation-view.module.css';

export function Steps({ operation }: { operation: Operation }) {
  return (
    <section className="stack" aria-label={t.operations.steps}>
      {operation.state === 'unconfirmed' ? <Note tone="warn">{t.operations.unconfirmedHelp}</Note> : null}
      {operation.steps.map((step) => (
        <div key={step.index} className={classes.step}>
          <div className={classes.stepHead}>
            {operation.steps.length > 1 ? <span className="dim num">{step.index + 1}</span> : null}
            <strong className="grow wrap">{step.summary}</strong>
            <StepStateWord state={step.state} />
          </div>
          {step.error ? <div className={classes.pad}><Refusal error={step.error} /></div> : null}
          <Results step={step} reading={plain.has(operation.ops[step.index]?.kind ?? '')} />
          {Object.keys(step.output).length > 0 ? <Output output={step.output} /> : null}
          {step.truncated ? <p className={`dim small ${classes.pad}`}>{t.operations.truncated}</p> : null}
        </div>
      ))}
    </section>
  );
}

/** Ops that have an outcome at a path, but no before and after. */
const plain = new Set(['get', 'operate', 'discover', 'subscribe']);

export function Refusal({ error }: { error: StepError }) {
  return (
    <Note tone="bad">
      <strong>{t.operations.who[error.who]}</strong>
      {error.code != null ? <span className="dim"> ({t.operations.code(error.code)})</span> : null}: {error.message}
    </Note>
  );
}

const ROWS_SHOWN = 60;

function Results({ step, reading }: { step: Step; reading: boolean }) {
  const [all, setAll] = useState(false);
  const r = t.operations.results;
  if (step.results.length === 0) return null;
  const shown = all ? step.results : step.results.slice(0, ROWS_SHOWN);
  return (
    <div className={classes.scroll}>
      <table className={classes.table}>
        <thead>
          <tr>
            <th scope="col">{r.path}</th>
            {reading ? <th scope="col">{t.operations.outcome}</th> : <><th scope="col">{r.before}</th><th scope="col">{r.requested}</th><th scope="col">{r.after}</th><th scope="col">{r.verified}</th></>}
          </tr>
        </thead>
        <tbody>
          {shown.map((result) => (
            <tr key={result.path}>
              <td className="mono wrap">{result.path}</td>
              {reading ? (
                <td className="wrap">{result.error ? <ErrorWords error={result.error} /> : <Text value={result.after} />}</td>
              ) : (
                <>
                  <td className="wrap dim"><Text value={result.before} /></td>
                  <td className="wrap"><Text value={result.requested} /></td>
                  <td className="wrap"><Text value={result.after} /></td>
                  <td>{result.error ? <ErrorWords error={result.error} /> : <Verified result={result} />}</td>
                </>
              )}
            </tr>
          ))}
        </tbody>
      </table>
      {shown.length < step.results.length ? (
        <div className={classes.pad}><Button size="compact-sm" onClick={() => setAll(true)}>{t.common.more} ({step.results.length - shown.length})</Button></div>
      ) : null}
    </div>
  );
}

function ErrorWords({ error }: { error: StepError }) {
  return <State tone="bad"><span style={{ whiteSpace: 'normal' }}>{t.operations.who[error.who]}{error.code != null ? ` (${error.code})` : ''}: {error.message}</span></State>;
}

function Verified({ result }: { result: PathResult }) {
  if (result.verified === true) return <State tone="ok">{t.operations.verified}</State>;
  if (result.verified === false) return <State tone="bad">{t.operations.differs}</State>;
  return <State tone="idle">{t.operations.notReadBack}</State>;
}

function Text({ value }: { value: string | null | undefined }) {
  if (value == null) return <span className="dim">-</span>;
  if (value === '') return <span className="dim">{t.model.emptyValue}</span>;
  return <>{value}</>;
}

export function Output({ output }: { output: Record<string, string> }) {
  return (
    <div className={classes.scroll}>
      <table className={classes.table}>
        <thead><tr><th scope="col" colSpan={2}>{t.operations.output}</th></tr></thead>
        <tbody>
          {Object.entries(output).map(([name, value]) => (
            <tr key={name}><td className="mono" style={{ width: '30%' }}>{name}</td><td className="wrap"><Text value={value} /></td></tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

export function Transcript({ operation }: { operation: Operation }) {
  const list = useInfiniteQuery(transcriptQuery(operation.id));
  const entries = list.data?.pages.flatMap((page) => page.items);
  const [closed, setClosed] = useState<Set<number>>(new Set());
  const asText = (entries ?? []).map((e) => `${e.at} ${e.direction} ${e.kind}\n${e.text}`).join('\n\n');
  return (
    <section className="stack" aria-label={t.operations.transcript}>
      <div className="row">
        <h2>{t.operations.transcript}</h2>
        <span className="dim small">{t.operations.transcriptHint}</span>
        {entries && entries.length > 0 ? <CopyButton value={asText} label={t.operations.transcriptCopy} /> : null}
      </div>
      {list.error ? <Failure error={list.error} retry={() => void list.refetch()} /> : null}
      {entries?.length === 0 ? <p className="dim">{t.operations.transcriptEmpty}</p> : null}
      <ol className={classes.transcript}>
        {entries?.map((entry) => {
          const at = parseTime(entry.at) ?? 0;
          const open = !closed.has(entry.index);
          return (
            <li key={entry.index} className={classes.message} data-direction={entry.direction}>
              <button
                type="button"
                className={classes.messageHead}
                aria-expanded={open}
                onClick={() => {
                  const next = new Set(closed);
                  if (open) next.add(entry.index);
                  else next.delete(entry.index);
                  setClosed(next);
                }}
              >
                <Icon name={entry.direction === 'sent' ? 'right' : entry.direction === 'received' ? 'left' : 'info'} size={12} />
                <time className="num" dateTime={entry.at} title={exact(at)}>{clockTime(at)}</time>
                <span>{t.operations.directions[entry.direction]}</span>
                <strong>{entry.direction === 'note' ? '' : entry.kind}</strong>
              </button>
              {open ? <pre className={`mono ${classes.text}`}>{entry.text}</pre> : null}
            </li>
          );
        })}
      </ol>
      {list.hasNextPage ? <div><Button size="compact-sm" loading={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>{t.common.more}</Button></div> : null}
    </section>
  );
}

// What an operation did: its steps, each path with what it was and what it is now, and who refused what.
import { Button } from '@mantine/core';
import { useState } from 'react';
import type { Operation, PathResult, Step, StepError } from '~/api/operations';
import { t } from '~/text';
import { Icon } from './icon';
import { Note } from './notice';
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

function Refusal({ error }: { error: StepError }) {
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
            {reading ? <th scope="col">{t.operations.outcome}</th> : <><th scope="col">{r.change}</th><th scope="col">{r.verified}</th></>}
          </tr>
        </thead>
        <tbody>
          {shown.map((result) => (
            <tr key={result.path}>
              <td className="mono wrap">{result.path}</td>
              {reading ? (
                <td className="wrap"><Outcome result={result} /></td>
              ) : (
                <>
                  <td className="wrap"><Change result={result} /></td>
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

/** What came of an op at a path: who refused it, what was read there, or that it was done. */
function Outcome({ result }: { result: PathResult }) {
  if (result.error) return <ErrorWords error={result.error} />;
  if (result.after == null && result.verified === true) return <State tone="ok">{t.operations.stepStates.done}</State>;
  return <Text value={result.after} />;
}

function ErrorWords({ error }: { error: StepError }) {
  return <State tone="bad"><span style={{ whiteSpace: 'normal' }}>{t.operations.who[error.who]}{error.code != null ? ` (${error.code})` : ''}: {error.message}</span></State>;
}

/** From what it was to what it is; what was asked for beside it when that is something else. */
function Change({ result }: { result: PathResult }) {
  const { before, requested, after } = result;
  const now = after ?? requested;
  if (before == null && now == null) return <span className="dim">-</span>;
  if (before === now) return <><Text value={now} /> <span className="dim small">{t.operations.unchanged}</span></>;
  return (
    <span className={classes.change}>
      {before == null ? null : <><del><Text value={before} /></del><Icon name="right" size={11} /></>}
      {now == null ? <span className="dim">{t.operations.gone}</span> : <ins><Text value={now} /></ins>}
      {after != null && requested != null && after !== requested ? <span className="small">({t.operations.askedFor} <Text value={requested} />)</span> : null}
    </span>
  );
}

function Verified({ result }: { result: PathResult }) {
  if (result.after_restart) return <State tone="waiting">{t.operations.afterRestart}</State>;
  if (result.verified === true) return <State tone="ok">{t.operations.verified}</State>;
  if (result.verified === false) return <State tone="bad">{t.operations.differs}</State>;
  return <State tone="idle">{t.operations.notReadBack}</State>;
}

function Text({ value }: { value: string | null | undefined }) {
  if (value == null) return <span className="dim">-</span>;
  if (value === '') return <span className="dim">{t.model.emptyValue}</span>;
  return <>{value}</>;
}

function Output({ output }: { output: Record<string, string> }) {
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

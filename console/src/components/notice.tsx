// Things said in place: an empty state with the next step, a failure with who refused and a way on.
import { Button } from '@mantine/core';
import type { ReactNode } from 'react';
import { asProblem } from '~/api/problem';
import { t } from '~/text';
import { Icon } from './icon';
import type { Tone } from './state';
import classes from './notice.module.css';

/** Nothing is here: why, and what to do next. */
export function Empty({ title, children, action, level = 2 }: { title: string; children?: ReactNode; action?: ReactNode; level?: 1 | 2 }) {
  const Heading = `h${level}` as const;
  return (
    <div className={classes.empty}>
      <Heading>{title}</Heading>
      {children ? <div className={classes.text}>{children}</div> : null}
      {action ? <div className="row wrapped">{action}</div> : null}
    </div>
  );
}

/** A request failed: what, who refused, what to do. */
export function Failure({ error, retry, what }: { error: unknown; retry?: () => void; what?: string }) {
  const problem = asProblem(error);
  return (
    <div className={classes.notice} data-tone="bad" role="alert">
      <Icon name="warn" />
      <div className="stack tight grow">
        <strong>{what ? `${what}: ${problem.title}` : problem.title}</strong>
        {problem.detail && problem.detail !== problem.title ? <span className="wrap">{problem.detail}</span> : null}
        {problem.fields.length > 0 ? (
          <ul className={classes.fields}>
            {problem.fields.map((field, i) => (
              <li key={i}>{field.at ? <span className="mono">{field.at}: </span> : null}{field.message}</li>
            ))}
          </ul>
        ) : null}
        <span className="small">
          {t.problem.refuser[problem.refuser]}
          {problem.retryAfter ? ` ${t.problem.retryAfter(problem.retryAfter)}` : ''}
          {problem.requestId ? <> {t.problem.requestId} <span className="mono">{problem.requestId}</span></> : null}
        </span>
      </div>
      {retry ? <Button size="compact-sm" onClick={retry}>{t.common.tryAgain}</Button> : null}
    </div>
  );
}

/** A remark that is not a failure. */
export function Note({ tone = 'idle', children, action }: { tone?: Tone; children: ReactNode; action?: ReactNode }) {
  return (
    <div className={classes.notice} data-tone={tone}>
      <Icon name={tone === 'bad' || tone === 'warn' ? 'warn' : 'info'} />
      <div className="grow wrap">{children}</div>
      {action}
    </div>
  );
}

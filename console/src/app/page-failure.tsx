// What is shown instead of a page that is not there or failed to load.
import { Button } from '@mantine/core';
import { Link, useRouter, type ErrorComponentProps } from '@tanstack/react-router';
import { asProblem } from '~/api/problem';
import { copyText } from '~/components/copy';
import { Empty, Failure, Note } from '~/components/notice';
import { t } from '~/text';
import { announce } from './announce';
import { useTitle } from './crumbs';

/** Nothing is at this address. */
export function NotFound() {
  useTitle(t.frame.notFoundPlace);
  return (
    <div style={{ padding: 16 }}>
      <Empty title={t.frame.notFound} level={1} action={<Link to="/devices">{t.frame.toDevices}</Link>}>
        <p>{t.frame.notFoundDetail}</p>
      </Empty>
    </div>
  );
}

/** A page failed: what could not be had, or a fault in the console with what helps to find it. */
export function PageFailure({ error, reset }: ErrorComponentProps) {
  const router = useRouter();
  const problem = asProblem(error);
  const retry = () => {
    reset();
    void router.invalidate();
  };
  return (
    <div style={{ padding: 24, maxWidth: 760 }}>
      <h1 className="sr-only">{t.frame.pageFailed}</h1>
      {problem.refuser === 'console' ? <Fault error={error} words={problem.detail ?? ''} /> : <Failure error={error} what={t.frame.pageFailed} retry={retry} />}
    </div>
  );
}

function Fault({ error, words }: { error: unknown; words: string }) {
  const details = () => [words, `at ${location.href}`, new Date().toISOString(), navigator.userAgent, error instanceof Error ? error.stack : ''].join('\n');
  return (
    <div role="alert">
      <Note tone="bad">
        <div className="stack">
          <strong>{t.frame.consoleFailed}</strong>
          <span className="mono wrap">{words}</span>
          <span>{t.frame.consoleFailedDetail}</span>
          <div className="row">
            <Button variant="filled" onClick={() => location.reload()}>{t.frame.reload}</Button>
            <Button onClick={async () => ((await copyText(details())) ? announce(t.frame.detailsCopied) : announce(t.common.copyFailed, 'bad'))}>{t.frame.copyDetails}</Button>
          </div>
        </div>
      </Note>
    </div>
  );
}

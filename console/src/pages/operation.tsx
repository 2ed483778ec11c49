// One operation: its state in words, who asked and why, each step with before and after, the transcript.
import { Skeleton } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { getRouteApi, Link, useNavigate } from '@tanstack/react-router';
import { useState, type ReactNode } from 'react';
import { applyAll, cancelOperation, freshKey, holdsSecret, isFinal, operationQuery, type Operation } from '~/api/operations';
import { asProblem } from '~/api/problem';
import { useMay } from '~/api/session';
import { announce } from '~/app/announce';
import { useTitle } from '~/app/crumbs';
import { useActions } from '~/app/finder';
import { ActionButton } from '~/components/action-button';
import { Confirm } from '~/components/confirm';
import { Copyable } from '~/components/copy';
import { Icon } from '~/components/icon';
import { Empty, Failure } from '~/components/notice';
import { OperationStateWord } from '~/components/operation-state';
import { Steps } from '~/components/operation-view';
import { State } from '~/components/state';
import { Ago } from '~/components/time';
import { Transcript } from '~/components/transcript';
import { TransferView } from '~/components/transfer-view';
import { isHarmful, losesEverything } from '~/lib/harmful';
import { duration, parseTime } from '~/lib/time';
import { isUuid } from '~/lib/uuid';
import { t } from '~/text';
import classes from './operations/operation.module.css';

const route = getRouteApi('/inside/operations/$operationId');

export function OperationPage() {
  const { operationId } = route.useParams();
  const query = useQuery({ ...operationQuery(operationId), enabled: isUuid(operationId) });
  const operation = query.data;
  useTitle(operation?.summary);
  if (!isUuid(operationId) || (query.error && !operation)) {
    return !isUuid(operationId) || asProblem(query.error).status === 404 ? (
      <Empty title={t.operations.notFoundTitle} level={1} action={<Link to="/operations">{t.operations.title}</Link>}><p>{t.operations.notFound}</p></Empty>
    ) : (
      <div style={{ padding: 16 }}><Failure error={query.error} retry={() => void query.refetch()} /></div>
    );
  }
  if (!operation) {
    return <div className={classes.page} aria-busy="true"><Skeleton height={20} width={360} /><Skeleton height={12} width={240} /><Skeleton height={120} /></div>;
  }
  return (
    <div className={classes.page}>
      <Head operation={operation} />
      {operation.transfer ? <section aria-label={t.transfer.title}><TransferView transfer={operation.transfer} /></section> : null}
      <Steps operation={operation} />
      <Transcript operation={operation} />
    </div>
  );
}

function Head({ operation }: { operation: Operation }) {
  const o = t.operations;
  const queries = useQueryClient();
  const navigate = useNavigate();
  const [asking, setAsking] = useState<'cancel' | 'repeat'>();
  const [key] = useState(freshKey);
  const mayNot = useMay('operation:run');
  const over = isFinal(operation.state);
  const commands = operation.ops.flatMap((op) => (op.kind === 'operate' ? [op.command] : []));
  const dangerous = commands.some(isHarmful) || operation.ops.some((op) => op.kind === 'delete');
  const noRepeat = mayNot ?? (operation.ops.some(holdsSecret) ? o.repeatSecret : undefined);
  const loses = commands.some(losesEverything);
  const noCancel = mayNot ?? (operation.cancellable ? undefined : over ? o.over : o.cannotCancel);
  const cancel = useMutation({
    mutationFn: () => cancelOperation(operation.id),
    onSuccess: (fresh) => {
      queries.setQueryData(['operation', operation.id, 'detail'], fresh);
      void queries.invalidateQueries({ queryKey: ['operations'] });
      announce(o.cancelled);
      setAsking(undefined);
    },
  });
  const repeat = useMutation({
    mutationFn: async () => {
      const [first] = await applyAll(operation.device_id, operation.ops, key, operation.note ?? undefined);
      if (!first) throw new Error('the operation has no content');
      return first;
    },
    onSuccess: (fresh) => {
      setAsking(undefined);
      void navigate({ to: '/operations/$operationId', params: { operationId: fresh.id } });
    },
  });
  useActions(noCancel === undefined ? [{ id: 'cancel', icon: 'close', label: o.cancel, run: () => setAsking('cancel') }] : []);
  const facts: [string, ReactNode][] = [
    [o.device, <Link key="d" to="/devices/$deviceId" params={{ deviceId: operation.device_id }}>{operation.device_name}</Link>],
    [o.expires, over ? undefined : <Ago key="x" at={operation.expires_at} />],
    [o.attempts, operation.attempts > 1 ? operation.attempts : undefined],
    [o.note, operation.note ?? undefined],
    [o.id, <Copyable key="i" value={operation.id} label={o.id} />],
  ];
  return (
    <header className="stack">
      <div className={classes.title}>
        <h1 className="wrap">{operation.summary}</h1>
        <span role="status"><OperationStateWord state={operation.state} strong /></span>
        <span className="grow" />
        {over ? (
          <ActionButton leftSection={<Icon name="refresh" size={13} />} disabledReason={noRepeat} onClick={() => setAsking('repeat')}>{o.repeat}</ActionButton>
        ) : (
          <ActionButton leftSection={<Icon name="close" size={13} />} disabledReason={noCancel} onClick={() => setAsking('cancel')}>{o.cancel}</ActionButton>
        )}
      </div>
      {operation.state_words && operation.state !== 'succeeded' ? <p className="wrap">{operation.state_words}</p> : null}
      <Progress operation={operation} />
      <dl className={classes.facts}>
        {facts.filter(([, value]) => value !== undefined).map(([name, value]) => <div key={name}><dt>{name}</dt><dd className="wrap">{value}</dd></div>)}
      </dl>
      {asking === 'cancel' ? (
        <Confirm title={o.cancelTitle} verb={o.cancel} danger busy={cancel.isPending} error={cancel.error} onConfirm={() => cancel.mutate()} onClose={() => setAsking(undefined)}>
          <p><strong>{operation.summary}</strong> ({operation.device_name})</p>
          <p>{o.cancelDetail}</p>
        </Confirm>
      ) : null}
      {asking === 'repeat' ? (
        <Confirm title={o.repeatTitle} verb={o.repeat} danger={dangerous} typed={loses ? operation.device_name : undefined} busy={repeat.isPending} error={repeat.error} onConfirm={() => repeat.mutate()} onClose={() => setAsking(undefined)}>
          <p><strong>{operation.summary}</strong> ({operation.device_name})</p>
          <p>{o.repeatDetail}</p>
          {dangerous ? <p>{t.device.commands.runDetail}</p> : null}
        </Confirm>
      ) : null}
    </header>
  );
}

/** Asked, sent, ended: when, by whom, and how long each took. */
function Progress({ operation }: { operation: Operation }) {
  const o = t.operations;
  const asked = parseTime(operation.created_at) ?? 0;
  const sent = parseTime(operation.started_at);
  const ended = parseTime(operation.finished_at);
  return (
    <ol className={classes.progress} aria-label={o.progress}>
      <li><State tone="ok">{o.asked}</State> <span className="dim"><Ago at={operation.created_at} />, {operation.actor.name}</span></li>
      <li>
        <State tone={sent === undefined ? (ended === undefined ? 'waiting' : 'idle') : 'ok'}>{o.sent}</State>
        <span className="dim num">{sent === undefined ? (ended === undefined ? o.notYet : o.neverSent) : o.later(duration(sent - asked))}</span>
      </li>
      <li>
        <OperationStateWord state={operation.state} />
        <span className="dim num">{ended === undefined ? '' : sent === undefined ? <Ago at={operation.finished_at} /> : o.later(duration(ended - sent))}</span>
      </li>
    </ol>
  );
}

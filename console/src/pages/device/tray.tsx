// The tray of staged changes: what is staged, what the server says would happen, and how it goes once applied.
import { ActionIcon, Button } from '@mantine/core';
import { useMutation, useQueries, useQueryClient } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useEffect, useState } from 'react';
import type { DeviceDetail } from '~/api/devices';
import { applyAll, freshKey, isFinal, operationQuery, preview, type OperationState, type Preview } from '~/api/operations';
import { useMay } from '~/api/session';
import { ActionButton } from '~/components/action-button';
import { Icon } from '~/components/icon';
import { TextInput } from '~/components/mantine/text-input';
import { Failure } from '~/components/notice';
import { OperationStateWord } from '~/components/operation-state';
import { Shape, type Tone } from '~/components/state';
import { Tooltip } from '~/components/tooltip';
import { t } from '~/text';
import { FromTo, PreviewItems } from './preview-items';
import { keyOf, opIndex, tickOf, toOps, type Staged, type Staging, type Tick } from './staging';
import { Waits } from './waits';
import classes from './tray.module.css';

type Stage = { at: 'edit' } | { at: 'preview'; preview: Preview } | { at: 'applied'; operations: string[]; changes: Staged[] };

export function Tray({ device, staging }: { device: DeviceDetail; staging: Staging }) {
  const [stage, setStage] = useState<Stage>({ at: 'edit' });
  // An edit after the preview makes the preview old.
  const signature = JSON.stringify(staging.list);
  useEffect(() => setStage((old) => (old.at === 'preview' ? { at: 'edit' } : old)), [signature]);

  if (stage.at === 'applied') {
    return <Applied ids={stage.operations} changes={stage.changes} staging={staging} onClose={() => setStage({ at: 'edit' })} />;
  }
  if (staging.list.length === 0) return null;
  return stage.at === 'preview' ? (
    <Previewed
      device={device}
      staging={staging}
      found={stage.preview}
      onBack={() => setStage({ at: 'edit' })}
      onApplied={(operations) => {
        setStage({ at: 'applied', operations, changes: staging.list });
        staging.clear();
      }}
    />
  ) : (
    <Editing device={device} staging={staging} onPreview={(found) => setStage({ at: 'preview', preview: found })} />
  );
}

function Frame({ title, tools, children }: { title: React.ReactNode; tools: React.ReactNode; children: React.ReactNode }) {
  return (
    <section className={classes.tray} aria-label={typeof title === 'string' ? title : t.device.tray.sentTitle}>
      <div className={classes.head}><h2>{title}</h2><div className="row">{tools}</div></div>
      <div className={classes.body}>{children}</div>
    </section>
  );
}

function Editing({ device, staging, onPreview }: { device: DeviceDetail; staging: Staging; onPreview: (found: Preview) => void }) {
  const d = t.device.tray;
  const mayNot = useMay('operation:run');
  const look = useMutation({ mutationFn: () => preview(device.id, toOps(staging.list)), onSuccess: onPreview });
  return (
    <Frame
      title={d.title(staging.list.length)}
      tools={
        <>
          <Button size="compact-sm" onClick={staging.clear}>{d.discard}</Button>
          <ActionButton size="compact-sm" variant="filled" loading={look.isPending} disabledReason={mayNot} onClick={() => look.mutate()}>{d.preview}</ActionButton>
        </>
      }
    >
      {look.error ? <Failure error={look.error} /> : null}
      {staging.list.map((staged) => (
        <div key={keyOf(staged)} className={classes.line}>
          <Change staged={staged} />
          <Tooltip label={d.remove}>
            <ActionIcon size={22} aria-label={`${d.remove}: ${nameOf(staged)}`} onClick={() => staging.unstage(keyOf(staged))}><Icon name="close" size={12} /></ActionIcon>
          </Tooltip>
        </div>
      ))}
    </Frame>
  );
}

function Previewed({ device, staging, found, onBack, onApplied }: { device: DeviceDetail; staging: Staging; found: Preview; onBack: () => void; onApplied: (operations: string[]) => void }) {
  const d = t.device.tray;
  const queries = useQueryClient();
  const mayNot = useMay('operation:run');
  const [note, setNote] = useState('');
  const [key] = useState(freshKey);
  const run = useMutation({
    mutationFn: () => applyAll(device.id, toOps(staging.list), key, note.trim()),
    onSuccess: (operations) => {
      for (const operation of operations) queries.setQueryData(['operation', operation.id, 'detail'], operation);
      onApplied(operations.map((operation) => operation.id));
    },
  });
  const protocols = device.protocols.map((one) => one.toUpperCase()).join(', ');
  return (
    <Frame
      title={found.summary}
      tools={
        <>
          <Button size="compact-sm" onClick={onBack}>{d.back}</Button>
          <ActionButton size="compact-sm" variant="filled" loading={run.isPending} disabledReason={mayNot ?? (found.blocked ? d.blocked : undefined)} autoFocus onClick={() => run.mutate()}>{d.apply}</ActionButton>
        </>
      }
    >
      {run.error ? <Failure error={run.error} /> : null}
      <PreviewItems found={found} isSecret={(path) => isSecret(staging.list, path)} />
      <Waits device={device} />
      <div className="row wrapped" style={{ alignItems: 'center' }}>
        <TextInput aria-label={d.note} placeholder={d.note} value={note} maxLength={1000} onChange={(e) => setNote(e.currentTarget.value)} className="grow" />
        {protocols ? <span className="dim small">{d.by(protocols)}</span> : null}
      </div>
    </Frame>
  );
}

/** While the tray is open its operations are looked at this often, beside the live stream. */
const followEvery = (query: { state: { data?: { state: OperationState } } }) => (query.state.data && isFinal(query.state.data.state) ? (false as const) : 1500);

const tickTones: Record<Tick, Tone> = { waiting: 'waiting', sent: 'busy', accepted: 'busy', verified: 'ok', unverified: 'ok', failed: 'bad', unknown: 'warn' };

function Applied({ ids, changes, staging, onClose }: { ids: string[]; changes: Staged[]; staging: Staging; onClose: () => void }) {
  const d = t.device.tray;
  const queries = useQueries({ queries: ids.map((id) => ({ ...operationQuery(id), refetchInterval: followEvery })) });
  const operations = queries.map((query) => query.data);
  const error = queries.find((query) => query.error)?.error;
  const over = operations.every((operation) => operation !== undefined && isFinal(operation.state));
  const device = useQueryClient();
  const deviceId = operations[0]?.device_id;
  useEffect(() => {
    if (over && deviceId) for (const part of ['values', 'model']) void device.invalidateQueries({ queryKey: ['device', deviceId, part] });
  }, [over, deviceId, device]);
  const sets = changes.filter((one) => one.kind === 'set' && !one.secret && one.from !== undefined);
  return (
    <Frame
      title={<span className="row" role="status">{over ? d.doneTitle : d.sentTitle} {operations.map((operation) => (operation ? <OperationStateWord key={operation.id} state={operation.state} /> : null))}</span>}
      tools={
        <>
          {over && sets.length > 0 ? (
            <Button
              size="compact-sm"
              leftSection={<Icon name="undo" size={13} />}
              onClick={() => {
                for (const one of sets) if (one.kind === 'set' && one.from !== undefined) staging.stage({ ...one, from: one.to, to: one.from });
                onClose();
              }}
            >
              {d.undo}
            </Button>
          ) : null}
          {ids.map((id) => <Link key={id} to="/operations/$operationId" params={{ operationId: id }} className="small">{t.device.openOperation}</Link>)}
          <Button size="compact-sm" autoFocus onClick={onClose}>{d.close}</Button>
        </>
      }
    >
      {error ? <Failure error={error} /> : null}
      {operations.map((operation) => (operation?.state_words ? <span key={operation.id} className="dim small">{operation.state_words}</span> : null))}
      {changes.map((staged) => {
        const { tick, message } = tickOf(staged, operations[opIndex(changes, staged)]);
        return (
          <div key={keyOf(staged)} className={classes.line}>
            <Change staged={staged} />
            <span className={classes.tick} data-tone={tickTones[tick]}>
              <Shape tone={tickTones[tick]} /> {tick === 'failed' && !message ? d.differs : d.ticks[tick]}
              {message ? <span className="wrap">: {message}</span> : null}
            </span>
          </div>
        );
      })}
    </Frame>
  );
}

function Change({ staged }: { staged: Staged }) {
  const d = t.device.tray;
  return (
    <span className={classes.change}>
      <span className="mono ellipsis" title={nameOf(staged)}>{nameOf(staged)}</span>
      {staged.kind === 'set' ? <FromTo from={staged.from} to={staged.to} secret={staged.secret} /> : null}
      {staged.kind === 'add' ? <span className="dim ellipsis">{staged.parameters.map((p) => `${p.name} = ${p.secret ? t.model.hidden : p.value}`).join(', ')}</span> : null}
      {staged.kind === 'delete' ? <span className="dim">{d.delete} {staged.hint ?? ''}</span> : null}
    </span>
  );
}

function nameOf(staged: Staged): string {
  return staged.kind === 'add' ? t.device.tray.add(staged.object) : staged.path;
}

function isSecret(list: Staged[], path: string): boolean {
  return list.some((one) => one.kind === 'set' && one.path === path && one.secret);
}

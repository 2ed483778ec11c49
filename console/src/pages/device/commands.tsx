// Running a command: find it, fill in its typed arguments, confirm, and watch its operation.
import { Button, Skeleton } from '@mantine/core';
import { useMutation, useQuery } from '@tanstack/react-query';
import { Link, useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { modelQuery, modelSearchQuery, type DeviceDetail, type ModelCommand, type ModelHit } from '~/api/devices';
import { apply, freshKey, isFinal, operationQuery } from '~/api/operations';
import { useMay } from '~/api/session';
import { matches } from '~/app/match';
import { ActionButton } from '~/components/action-button';
import { Confirm } from '~/components/confirm';
import { Icon } from '~/components/icon';
import { Select } from '~/components/mantine/select';
import { TextInput } from '~/components/mantine/text-input';
import { Empty, Failure, Note } from '~/components/notice';
import { OperationStateWord } from '~/components/operation-state';
import { Steps } from '~/components/operation-view';
import { isHarmful, losesEverything } from '~/lib/harmful';
import { t } from '~/text';
import { objectOf } from './paths';
import { notReady } from './arguments';
import { ValueEditor } from './value-editor';
import { Waits } from './waits';
import classes from './commands.module.css';

/** All commands of any device: the standard has fewer than half as many. */
const COMMANDS = 500;

/** The own commands of the device first, then by object. */
const order = (path: string) => (objectOf(path) === 'Device.' ? ` ${path}` : path);

export function Commands({ device, path }: { device: DeviceDetail; path?: string }) {
  const c = t.device.commands;
  const navigate = useNavigate();
  const [typed, setTyped] = useState('');
  // Every command's path ends in "()".
  const hits = useQuery(modelSearchQuery(device.id, '()', COMMANDS));
  const all = (hits.data?.items ?? []).filter((hit) => hit.kind === 'command').sort((a, b) => order(a.path).localeCompare(order(b.path)));
  const shown = all.filter((one) => matches(one.path, typed));
  const there = shown.filter((one) => one.present);
  const absent = shown.filter((one) => !one.present);
  const item = ({ path: one }: ModelHit) => (
    <button key={one} type="button" className={classes.item} aria-current={one === path || undefined} aria-label={one} onClick={() => choose(one)}>
      <span className="mono">{one.slice(objectOf(one).length)}</span>
      <span className="mono dim small ellipsis" title={one}>{objectOf(one)}</span>
    </button>
  );
  const choose = (next: string) => void navigate({ to: '/devices/$deviceId', params: { deviceId: device.id }, search: { tab: 'commands', path: next }, replace: true });
  if (hits.error) return <div style={{ padding: 16 }}><Failure error={hits.error} retry={() => void hits.refetch()} /></div>;
  if (hits.data && all.length === 0) return <Empty title={c.list}><p>{c.none}</p></Empty>;
  return (
    <div className={classes.commands}>
      <div className={classes.side}>
        <div className={classes.search}>
          <TextInput data-page-filter aria-label={c.search} placeholder={c.search} leftSection={<Icon name="search" size={14} />} value={typed} onChange={(e) => setTyped(e.currentTarget.value)} />
        </div>
        <nav className={classes.list} aria-label={c.list}>
          {!hits.data ? <div className="stack" style={{ padding: 12 }} aria-busy="true">{Array.from({ length: 10 }, (_, i) => <Skeleton key={i} height={11} width={`${50 + ((i * 17) % 40)}%`} />)}</div> : null}
          {there.map(item)}
          {absent.length > 0 ? (
            <details className={classes.absent} open={typed !== '' && there.length === 0}>
              <summary>{c.absent(absent.length)}</summary>
              <p className="dim small">{c.absentWhy}</p>
              {absent.map(item)}
            </details>
          ) : null}
          {hits.data && shown.length === 0 ? <p className="dim" style={{ padding: 12 }}>{c.noMatch}</p> : null}
        </nav>
      </div>
      <div className={classes.form}>{path?.endsWith('()') ? <Chosen key={path} device={device} path={path} /> : <p className="dim">{c.choose}</p>}</div>
    </div>
  );
}

function Chosen({ device, path }: { device: DeviceDetail; path: string }) {
  const c = t.device.commands;
  const [concrete, setConcrete] = useState(path);
  const node = useQuery(modelQuery(device.id, objectOf(path)));
  const command = node.data?.commands.find((one) => path.endsWith(`.${one.name}`));
  if (node.error) return <Failure error={node.error} retry={() => void node.refetch()} />;
  if (!command) return <p className="dim">{node.data ? c.none : t.common.loading}</p>;
  return (
    <>
      <div className="stack tight">
        <h2 className="mono wrap">{concrete}</h2>
        <p className="dim small">{command.asynchronous ? c.async : c.sync}</p>
      </div>
      {path.includes('{i}') ? (
        <div>
          {concrete.includes('{i}') ? <RowPicker device={device.id} path={concrete} onPick={setConcrete} /> : <Button onClick={() => setConcrete(path)}>{c.instance}</Button>}
        </div>
      ) : null}
      <Run device={device} command={command} path={concrete} />
    </>
  );
}

/** Chooses a row for the first table in the path. */
function RowPicker({ device, path, onPick }: { device: string; path: string; onPick: (path: string) => void }) {
  const c = t.device.commands;
  const table = path.slice(0, path.indexOf('{i}'));
  const node = useQuery(modelQuery(device, table));
  const rows = node.data?.instances ?? [];
  if (node.data && rows.length === 0) return <Note>{c.noInstances(table)}</Note>;
  return (
    <Select
      label={c.instanceOf(table)}
      value={null}
      data={rows.map((row) => ({ value: String(row.number), label: row.hint ? `${row.number} ${row.hint}` : String(row.number) }))}
      onChange={(number) => number && onPick(path.replace('{i}', number))}
      searchable={rows.length > 10}
      w={320}
    />
  );
}

function Run({ device, command, path }: { device: DeviceDetail; command: ModelCommand; path: string }) {
  const c = t.device.commands;
  const mayNot = useMay('operation:run');
  const [input, setInput] = useState<Record<string, string>>({});
  const [asking, setAsking] = useState(false);
  const [key, setKey] = useState(freshKey);
  const run = useMutation({
    mutationFn: () => apply(device.id, { kind: 'operate', command: path, input: Object.fromEntries(Object.entries(input).filter(([, value]) => value !== '')) }, key),
    onSuccess: () => {
      setAsking(false);
      // The next click is another intention.
      setKey(freshKey());
    },
  });
  const blocked = mayNot ?? (path.includes('{i}') ? c.instanceMissing : notReady(command.inputs, input));
  const start = () => (isHarmful(path) ? setAsking(true) : run.mutate());
  return (
    <>
      <form
        className="stack loose"
        onSubmit={(event) => {
          event.preventDefault();
          if (blocked === undefined) start();
        }}
      >
        {command.inputs.length === 0 ? <p className="dim">{c.noArguments}</p> : (
          <div className={classes.arguments}>
            {command.inputs.map((argument) => (
              <ValueEditor
                key={argument.name}
                label={argument.mandatory ? `${argument.name} (${c.mandatory})` : argument.name}
                labelled
                optional
                type={argument.type}
                value={input[argument.name] ?? ''}
                onChange={(value) => setInput({ ...input, [argument.name]: value })}
              />
            ))}
          </div>
        )}
        {command.outputs.length > 0 ? <p className="dim small">{c.outputs}: <span className="mono">{command.outputs.map((one) => one.name).join(', ')}</span></p> : null}
        {run.error && !asking ? <Failure error={run.error} /> : null}
        <Waits device={device} />
        <div><ActionButton type="submit" variant="filled" leftSection={<Icon name="play" size={13} />} loading={run.isPending} disabledReason={blocked}>{run.data ? c.again : c.run}</ActionButton></div>
      </form>
      {run.data ? <Result id={run.data.id} /> : null}
      {asking ? (
        <Confirm title={c.runTitle(command.name)} verb={c.run} danger typed={losesEverything(path) ? device.name : undefined} busy={run.isPending} error={run.error} onConfirm={() => run.mutate()} onClose={() => setAsking(false)}>
          <p><strong>{device.name}</strong> <span className="mono">{path}</span></p>
          <p>{losesEverything(path) ? c.losesDetail : c.runDetail}</p>
        </Confirm>
      ) : null}
    </>
  );
}

function Result({ id }: { id: string }) {
  const { data: operation } = useQuery({ ...operationQuery(id), refetchInterval: (query) => (query.state.data && isFinal(query.state.data.state) ? false : 1500) });
  if (!operation) return null;
  return (
    <section className="stack" aria-label={t.device.commands.result}>
      <div className="row" role="status">
        <h2>{t.device.commands.result}</h2>
        <OperationStateWord state={operation.state} />
        <span className="dim small grow wrap">{operation.state_words}</span>
        <Link to="/operations/$operationId" params={{ operationId: id }} className="small">{t.device.openOperation}</Link>
      </div>
      <Steps operation={operation} />
    </section>
  );
}

// One object of the data model: its parameters with typed editing, its rows, what is below, its commands and events.
import { Skeleton } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import { GATEWAY_ROOT, modelQuery, type DeviceDetail, type ModelNode as Node, type ModelParameter } from '~/api/devices';
import { useMay } from '~/api/session';
import { ActionButton } from '~/components/action-button';
import { CopyButton } from '~/components/copy';
import { Icon } from '~/components/icon';
import { Failure, Note } from '~/components/notice';
import { Tag } from '~/components/tag';
import { Ago, useStale } from '~/components/time';
import { timeValue } from '~/lib/time-value';
import { t } from '~/text';
import { AddRow } from './add-row';
import { Editable } from './editable';
import { chain, lastName, openTable } from './paths';
import { ReadNow } from './read-now';
import type { Staging } from './staging';
import classes from './model.module.css';

const STALE_MS = 60 * 60 * 1000;

interface Props {
  device: DeviceDetail;
  path: string;
  staging: Staging;
  onGo: (path: string) => void;
}

export function ModelNode({ device, path, staging, onGo }: Props) {
  const node = useQuery(modelQuery(device.id, path));
  const [adding, setAdding] = useState(false);
  const mayNot = useMay('operation:run');
  const m = t.model;
  if (node.error && !node.data) return <Failure error={node.error} retry={() => void node.refetch()} />;
  const data = node.data;
  const parts = chain(path);
  // Without the number of a row this is what the model says of any, and nothing that could be changed.
  const table = openTable(path);
  const isRow = /\.\d+\.$/.test(path);
  const deleted = staging.list.some((one) => one.kind === 'delete' && one.path === path);
  return (
    <>
      <div className={classes.nodeHead}>
        <div className={classes.path} aria-label={path}>
          {parts.map((part, i) => (i < parts.length - 1 ? <button key={part} type="button" onClick={() => onGo(part)}>{lastName(part)}.</button> : <span key={part}>{lastName(part)}.</span>))}
        </div>
        <CopyButton value={path} label={path} />
        <ReadNow device={device.id} paths={[table ?? path]} name={table ?? path} />
        <span className="grow" />
        {data?.table ? (
          <ActionButton size="compact-sm" leftSection={<Icon name="plus" size={13} />} disabledReason={table !== undefined ? m.noRow(table) : canAdd(data) ? mayNot : m.cannotAdd} onClick={() => setAdding(true)}>{m.addRow}</ActionButton>
        ) : null}
        {data && isRow ? (
          <ActionButton
            size="compact-sm"
            leftSection={<Icon name="trash" size={13} />}
            disabledReason={deleted ? m.deleteStaged : canDelete(data) ? mayNot : m.cannotDelete}
            onClick={() => staging.stage({ kind: 'delete', path, hint: undefined })}
          >
            {m.deleteRow}
          </ActionButton>
        ) : null}
      </div>
      {data ? (
        <Content device={device} node={data} staging={staging} onGo={onGo} mayNot={mayNot} />
      ) : (
        <div className="stack" aria-busy="true">{Array.from({ length: 8 }, (_, i) => <Skeleton key={i} height={11} width={`${50 + ((i * 17) % 40)}%`} />)}</div>
      )}
      {adding && data ? <AddRow device={device.id} node={data} staging={staging} onClose={() => setAdding(false)} /> : null}
    </>
  );
}

function canAdd(node: Node): boolean {
  return node.access === 'add_delete' || node.access === 'add_only';
}

function canDelete(node: Node): boolean {
  return node.access === 'add_delete' || node.access === 'delete_only';
}

function Content({ device, node, staging, onGo, mayNot }: { device: DeviceDetail; node: Node; staging: Staging; onGo: (path: string) => void; mayNot: string | undefined }) {
  const m = t.model;
  const table = openTable(node.path);
  const bare = node.parameters.length + node.objects.length + node.instances.length + node.commands.length + node.events.length === 0;
  return (
    <>
      <p className="dim small">
        {m.source[node.source]}{node.discovered_at ? <>. {m.sourceAt} <Ago at={node.discovered_at} />.</> : '.'}
      </p>
      {node.path.startsWith(GATEWAY_ROOT) ? <Note>{m.gatewayNote}</Note> : null}
      {table !== undefined ? <Note>{m.anyRow(table)}</Note> : null}
      {bare && !node.table ? <p className="dim">{m.noneKnown}</p> : null}
      {node.table ? (
        <section aria-label={m.rows}>
          <h2>{m.rows}</h2>
          {node.instances.length === 0 ? <p className="dim">{m.noRows}</p> : null}
          <div className={classes.list}>
            {node.instances.map((row) => (
              <div key={row.path} className={classes.item}>
                <a href="#content" className="mono" onClick={(e) => { e.preventDefault(); onGo(row.path); }}>{lastName(row.path)}</a>
                <span className="ellipsis">{row.hint}</span>
              </div>
            ))}
          </div>
        </section>
      ) : null}
      {node.parameters.length > 0 ? (
        <section aria-label={m.parameters}>
          <table className={classes.table}>
            <thead>
              <tr>
                <th scope="col" style={{ width: '34%' }}>{m.columns.name}</th>
                <th scope="col">{m.columns.value}</th>
                <th scope="col" style={{ width: 150 }}>{m.columns.type}</th>
                <th scope="col" style={{ width: 96 }}>{m.columns.read}</th>
              </tr>
            </thead>
            <tbody>{node.parameters.map((parameter) => <Row key={parameter.path} parameter={parameter} anyRow={node.table || table !== undefined} staging={staging} mayNot={mayNot} />)}</tbody>
          </table>
        </section>
      ) : null}
      {node.commands.length > 0 ? (
        <section aria-label={m.commands}>
          <h2>{m.commands}</h2>
          <div className={classes.list}>
            {node.commands.map((command) => (
              <div key={command.path} className={classes.item}>
                <Icon name="play" size={13} />
                <Link to="/devices/$deviceId" params={{ deviceId: device.id }} search={{ tab: 'commands', path: command.path }} className="mono">{command.name}</Link>
                <span className="dim small ellipsis">{command.inputs.map((input) => input.name).join(', ')}</span>
              </div>
            ))}
          </div>
        </section>
      ) : null}
      {node.objects.length > 0 ? (
        <section aria-label={m.objects}>
          <h2>{m.objects}</h2>
          <div className={classes.list}>
            {node.objects.map((object) => (
              <div key={object.path} className={classes.item}>
                <a href="#content" className="mono" onClick={(e) => { e.preventDefault(); onGo(object.path); }}>{object.name}.</a>
                {object.table ? <Tag>{object.instances == null ? m.rows : `${object.instances} ${object.instances === 1 ? m.row : m.rows}`}</Tag> : null}
              </div>
            ))}
          </div>
        </section>
      ) : null}
      {node.events.length > 0 ? (
        <section aria-label={m.events}>
          <h2>{m.events}</h2>
          <div className={classes.list}>
            {node.events.map((event) => (
              <div key={event.path} className={classes.item}>
                <span className="mono">{event.name}</span>
                <span className="dim small ellipsis">{event.arguments.map((argument) => argument.name).join(', ')}</span>
              </div>
            ))}
          </div>
        </section>
      ) : null}
    </>
  );
}

function Row({ parameter, anyRow, staging, mayNot }: { parameter: ModelParameter; anyRow: boolean; staging: Staging; mayNot: string | undefined }) {
  const m = t.model;
  const [editing, setEditing] = useState(false);
  const stale = useStale(parameter.value?.at, STALE_MS);
  const readOnly =
    parameter.access === 'read_only' ? m.cannotWrite : parameter.access === 'write_once' ? m.writeOnce : mayNot;
  const hints = [parameter.type.words, m.access[parameter.access], parameter.default != null ? m.default(parameter.default) : ''].filter(Boolean).join('. ');
  const type = `${parameter.type.list ? m.listOf(parameter.type.base) : parameter.type.base}${parameter.type.unit ? ` (${parameter.type.unit})` : ''}`;
  return (
    <tr>
      <td className="mono" title={parameter.path}>{parameter.name}</td>
      <td className={stale ? classes.stale : undefined} colSpan={editing ? 3 : 1} data-editing={editing || undefined}>
        {anyRow ? <span className="dim">-</span> : (
          <Editable
            path={parameter.path}
            name={parameter.name}
            value={parameter.value?.value}
            shown={timeWords(parameter.type.base, parameter.value?.value)}
            type={parameter.type}
            secret={parameter.secret}
            staging={staging}
            readOnly={readOnly}
            onEditing={setEditing}
          />
        )}
        {editing ? <span className="dim small wrap">{hints}</span> : null}
      </td>
      {editing ? null : (
        <>
          <td className="dim small" title={hints}>{type}</td>
          <td className="small" title={parameter.value?.source}>{parameter.value ? <Ago at={parameter.value.at} /> : null}</td>
        </>
      )}
    </tr>
  );
}

/** A time that is no moment ("not known"), in words; anything else is shown as it is. */
function timeWords(base: string, value: string | undefined): string | undefined {
  const time = base === 'dateTime' && value !== undefined ? timeValue(value) : undefined;
  return time && time.at === undefined ? time.words : undefined;
}

// The times the device came to be managed, newest first; one of them opened, message by message.
import { Button, Skeleton } from '@mantine/core';
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useCallback, useMemo, type ReactNode } from 'react';
import type { DeviceDetail } from '~/api/devices';
import { managementSessionQuery, managementSessionsQuery, type ManagementSession, type SessionFault } from '~/api/management-sessions';
import { asProblem } from '~/api/problem';
import { Conversation } from '~/components/conversation';
import { useColumns, type Column } from '~/components/data-table/columns';
import { DataTable } from '~/components/data-table/data-table';
import { Icon } from '~/components/icon';
import { Empty, Failure, Note } from '~/components/notice';
import { State } from '~/components/state';
import { Ago } from '~/components/time';
import { duration, parseTime } from '~/lib/time';
import { t } from '~/text';
import { reasons } from './session-words';
import classes from './sessions.module.css';

const s = t.device.sessions;
const c = s.columns;

const took = (one: ManagementSession) => duration((parseTime(one.ended_at) ?? 0) - (parseTime(one.started_at) ?? 0));

// Together they are narrower than the page with its timeline at 1280 px; the last one takes what is left.
const columns: Column<ManagementSession>[] = [
  { id: 'at', header: c.at, width: 110, fixed: true, cell: (one) => <Ago at={one.started_at} /> },
  { id: 'why', header: c.why, width: 200, cell: (one) => <span title={one.events.join(', ')}>{reasons(one.events)}</span> },
  { id: 'faults', header: c.faults, width: 84, cell: (one) => (one.faults > 0 ? <State tone="warn">{s.faultCount(one.faults)}</State> : <span className="dim">-</span>) },
  { id: 'took', header: c.took, width: 76, align: 'end', cell: (one) => <span className="num">{took(one)}</span> },
  { id: 'peer', header: c.peer, width: 140, cell: (one) => <span className="mono" title={one.peer}>{one.peer}</span> },
  { id: 'protocol', header: c.protocol, width: 90, hidden: true, cell: (one) => one.protocol.toUpperCase() },
  { id: 'ending', header: c.ending, width: 180, cell: (one) => <span title={one.ending}>{one.ending}</span> },
];

const rowId = (one: ManagementSession) => one.id;

export function Sessions({ device, session }: { device: DeviceDetail; session?: string }) {
  const navigate = useNavigate();
  const go = useCallback((to: string | undefined) => void navigate({ to: '/devices/$deviceId', params: { deviceId: device.id }, search: (old: object) => ({ ...old, session: to }) }), [navigate, device.id]);
  return session ? <Opened device={device} session={session} onBack={() => go(undefined)} /> : <List device={device} onOpen={go} />;
}

function List({ device, onOpen }: { device: DeviceDetail; onOpen: (session: string) => void }) {
  const state = useColumns('device-sessions', columns);
  const list = useInfiniteQuery(managementSessionsQuery(device.id));
  const rows = useMemo(() => list.data?.pages.flatMap((page) => page.items), [list.data]);
  const open = useCallback((one: ManagementSession) => onOpen(one.id), [onOpen]);
  const { fetchNextPage } = list;
  const loadMore = useCallback(() => void fetchNextPage(), [fetchNextPage]);
  return (
    <DataTable
      label={s.title}
      columns={state}
      rows={rows}
      rowId={rowId}
      onOpen={open}
      hasMore={list.hasNextPage}
      loadMore={loadMore}
      loadingMore={list.isFetchingNextPage}
      failed={list.error ? <div style={{ padding: 16 }}><Failure error={list.error} retry={() => void list.refetch()} /></div> : undefined}
      empty={<Empty title={s.empty}><p>{device.protocols.includes('cwmp') ? s.emptyYet : s.emptyLink}</p></Empty>}
    />
  );
}

function Opened({ device, session, onBack }: { device: DeviceDetail; session: string; onBack: () => void }) {
  const asked = useQuery(managementSessionQuery(device.id, session));
  const back = <div><Button size="compact-sm" leftSection={<Icon name="left" size={13} />} onClick={onBack}>{s.back}</Button></div>;
  if (asked.error) {
    return (
      <div className={classes.page}>
        {back}
        {asProblem(asked.error).status === 404 ? <Empty title={s.notFoundTitle}><p>{s.notFound}</p></Empty> : <Failure error={asked.error} retry={() => void asked.refetch()} />}
      </div>
    );
  }
  const one = asked.data;
  if (!one) return <div className={classes.page} aria-busy="true">{back}<Skeleton height={16} width={320} /><Skeleton height={60} /><Skeleton height={26} /><Skeleton height={26} /></div>;
  const facts: [string, ReactNode][] = [
    [c.at, <Ago key="a" at={one.started_at} />],
    [c.took, <span key="t" className="num">{took(one)}</span>],
    [c.peer, <span key="p" className="mono">{one.peer}</span>],
    [c.ending, one.ending],
  ];
  return (
    <div className={classes.page}>
      {back}
      <h2>{reasons(one.events)}</h2>
      <dl className={classes.facts}>{facts.map(([name, value]) => <div key={name}><dt>{name}</dt><dd className="wrap">{value}</dd></div>)}</dl>
      {one.fault_details.length > 0 ? (
        <section className="stack" aria-label={s.faults}>
          <h2>{s.faults}</h2>
          {one.fault_details.map((fault, i) => <Fault key={i} fault={fault} />)}
        </section>
      ) : null}
      <Conversation entries={one.entries} closedFirst>
        {one.left_out > 0 ? <Note>{s.leftOut(one.left_out)}</Note> : null}
        {one.entries.length === 0 ? <p className="dim">{t.operations.transcriptNone}</p> : null}
      </Conversation>
    </div>
  );
}

/** Which parameter, which value, what the device said to it, and how many like it say the same. */
function Fault({ fault }: { fault: SessionFault }) {
  return (
    <Note tone="bad">
      <strong>{t.operations.who.device}</strong> <span className="dim">({fault.code ? `${t.operations.code(fault.code)}, ` : ''}{fault.asked})</span>: {fault.message || s.noWords}
      {fault.parameter ? <div className="small"><span className="mono wrap">{fault.parameter}</span>{fault.value != null ? <> = <span className="mono wrap">{fault.value === '' ? t.model.emptyValue : fault.value}</span></> : null}</div> : null}
      <div className="dim small">{s.similar(fault.similar_devices)}</div>
    </Note>
  );
}

// The event log, newest first; new ones are announced and shown on request, so that nothing jumps under the eye.
import { Button, Skeleton } from '@mantine/core';
import { useInfiniteQuery, useQuery, useQueryClient } from '@tanstack/react-query';
import { getRouteApi, Link, useNavigate } from '@tanstack/react-router';
import { useCallback, useEffect, useMemo, useState } from 'react';
import { eventQuery, eventsQuery, type Event } from '~/api/events';
import { onLiveEvent } from '~/api/live';
import { asProblem } from '~/api/problem';
import { useTitle } from '~/app/crumbs';
import { parseEventsSearch, type EventsSearch } from '~/app/search-params';
import { useChecked } from '~/app/use-search';
import { useColumns, type Column } from '~/components/data-table/columns';
import { ColumnMenu } from '~/components/data-table/column-menu';
import { DataTable } from '~/components/data-table/data-table';
import { Dialog } from '~/components/dialog';
import { eventTone } from '~/components/event-tone';
import { Empty, Failure } from '~/components/notice';
import { Shape } from '~/components/state';
import { Ago } from '~/components/time';
import { Toolbar } from '~/components/toolbar';
import { CopyButton } from '~/components/copy';
import { SegmentedControl } from '~/components/mantine/segmented';
import { exact, parseTime } from '~/lib/time';
import { t } from '~/text';

const route = getRouteApi('/inside/events');
const c = t.events.columns;

const columns: Column<Event>[] = [
  { id: 'at', header: c.at, width: 110, fixed: true, cell: (e) => <Ago at={e.at} /> },
  { id: 'kind', header: c.kind, width: 220, cell: (e) => <span className="row"><Shape tone={eventTone(e)} /><span className="mono ellipsis">{e.kind}</span></span> },
  { id: 'device', header: c.device, width: 190, cell: (e) => (e.device_id ? <Link to="/devices/$deviceId" params={{ deviceId: e.device_id }} tabIndex={-1}>{e.device_name ?? e.device_id}</Link> : <span className="dim">-</span>) },
  { id: 'actor', header: c.actor, width: 130, cell: (e) => e.actor?.name ?? <span className="dim">-</span> },
  { id: 'cursor', header: c.cursor, width: 90, align: 'end', hidden: true, cell: (e) => <span className="mono">{e.cursor}</span> },
  { id: 'summary', header: c.summary, width: 420, fixed: true, cell: (e) => <span title={e.summary}>{e.summary}</span> },
];

const rowId = (event: Event) => event.cursor;

export function EventsPage() {
  const search = useChecked(route.useSearch(), parseEventsSearch);
  const navigate = useNavigate();
  const queries = useQueryClient();
  const state = useColumns('events', columns);
  const filter = useMemo(() => ({ kind: search.kind, device_id: search.device_id }), [search.kind, search.device_id]);
  const list = useInfiniteQuery({ ...eventsQuery(filter), refetchOnWindowFocus: false });
  const rows = useMemo(() => list.data?.pages.flatMap((page) => page.items), [list.data]);
  const [fresh, setFresh] = useState(0);
  useTitle(undefined);

  useEffect(() => {
    setFresh(0);
    return onLiveEvent(({ data }) => {
      const event = data as Partial<Event> | null;
      if (!event?.kind) return;
      if (filter.kind && !filter.kind.some((kind) => event.kind === kind || (kind.endsWith('.') && event.kind?.startsWith(kind)))) return;
      if (filter.device_id && event.device_id !== filter.device_id) return;
      setFresh((n) => n + 1);
    });
  }, [filter]);

  const set = (next: EventsSearch) => void navigate({ to: '/events', search: next, replace: true });
  const open = useCallback((event: Event) => void navigate({ to: '/events', search: (old: object) => ({ ...old, open: event.cursor }) }), [navigate]);
  const { fetchNextPage } = list;
  const loadMore = useCallback(() => void fetchNextPage(), [fetchNextPage]);
  return (
    <>
      <Toolbar title={t.events.title}>
        <SegmentedControl
          aria-label={t.events.filter}
          value={search.kind?.length === 1 ? (search.kind[0] ?? '') : search.kind ? '-' : ''}
          onChange={(kind) => set({ ...search, kind: kind ? [kind] : undefined, open: undefined })}
          data={t.events.kinds}
        />
        {search.device_id ? <Button onClick={() => set({ ...search, device_id: undefined })}>{t.events.ofDevice}</Button> : null}
        <span className="grow" />
        <span role="status">
          {fresh > 0 ? (
            <Button
              size="compact-sm"
              onClick={() => {
                setFresh(0);
                void queries.resetQueries({ queryKey: ['events', 'list', filter] });
              }}
            >
              {t.events.new(fresh)}
            </Button>
          ) : null}
        </span>
        <ColumnMenu columns={state} />
      </Toolbar>
      <DataTable
        label={t.events.title}
        columns={state}
        rows={rows}
        rowId={rowId}
        onOpen={open}
        hasMore={list.hasNextPage}
        loadMore={loadMore}
        loadingMore={list.isFetchingNextPage}
        failed={list.error ? <div style={{ padding: 16 }}><Failure error={list.error} retry={() => void list.refetch()} /></div> : undefined}
        empty={search.kind || search.device_id ? <Empty title={t.events.noMatch} /> : <Empty title={t.events.empty}><p>{t.events.emptyDetail}</p></Empty>}
        autoFocus
      />
      {search.open ? <Opened cursor={search.open} listed={rows?.find((event) => event.cursor === search.open)} onClose={() => set({ ...search, open: undefined })} /> : null}
    </>
  );
}

/** The event of a link: off the list where it is there, else asked for by itself, however old it is. */
function Opened({ cursor, listed, onClose }: { cursor: string; listed: Event | undefined; onClose: () => void }) {
  const asked = useQuery({ ...eventQuery(cursor), enabled: listed === undefined });
  const event = listed ?? asked.data;
  if (event) return <Detail event={event} onClose={onClose} />;
  const problem = asked.error ? asProblem(asked.error) : undefined;
  return (
    <Dialog onClose={onClose} title={problem?.status === 404 ? t.events.notFoundTitle : t.events.detail} size="lg">
      {problem?.status === 404 ? <p>{t.events.notFound}</p> : null}
      {problem && problem.status !== 404 ? <Failure error={problem} retry={() => void asked.refetch()} /> : null}
      {problem ? null : <div className="stack" aria-busy="true"><Skeleton height={12} width="70%" /><Skeleton height={12} width="30%" /><Skeleton height={90} /></div>}
    </Dialog>
  );
}

function Detail({ event, onClose }: { event: Event; onClose: () => void }) {
  const data = JSON.stringify(event.data, null, 2);
  return (
    <Dialog onClose={onClose} title={event.kind} size="lg">
      <div className="stack">
        <p className="wrap">{event.summary}</p>
        <p className="dim num">{exact(parseTime(event.at) ?? 0)}</p>
        {event.device_id ? <Link to="/devices/$deviceId" params={{ deviceId: event.device_id }}>{event.device_name ?? event.device_id}</Link> : null}
        {event.operation_id ? <Link to="/operations/$operationId" params={{ operationId: event.operation_id }}>{t.events.openOperation}</Link> : null}
        <div className="row"><h3>{t.events.data}</h3><CopyButton value={data} label={t.events.data} /></div>
        <pre className="mono" style={{ margin: 0, whiteSpace: 'pre-wrap', overflowWrap: 'anywhere' }}>{data}</pre>
      </div>
    </Dialog>
  );
}

// A list of operations: of everything, or of one device.
import { useInfiniteQuery } from '@tanstack/react-query';
import { Link, useNavigate } from '@tanstack/react-router';
import { useCallback, useMemo, type ReactNode } from 'react';
import { operationsQuery, type Operation, type OperationFilter } from '~/api/operations';
import { useColumns, type Column } from '~/components/data-table/columns';
import { DataTable } from '~/components/data-table/data-table';
import { Failure } from '~/components/notice';
import { OperationStateWord } from '~/components/operation-state';
import { Ago } from '~/components/time';
import { parseTime } from '~/lib/time';
import { t } from '~/text';

const c = t.operations.columns;

// Without the device they are narrower than its page with the timeline at 1280 px; the last one takes what is left.
const operationColumns: Column<Operation>[] = [
  { id: 'state', header: c.state, width: 108, fixed: true, cell: (o) => <OperationStateWord state={o.state} /> },
  {
    id: 'summary', header: c.summary, width: 270, fixed: true,
    cell: (o) => <Link to="/operations/$operationId" params={{ operationId: o.id }} tabIndex={-1} title={o.summary}>{o.summary}</Link>,
  },
  { id: 'device', header: c.device, width: 170, cell: (o) => <Link to="/devices/$deviceId" params={{ deviceId: o.device_id }} tabIndex={-1} title={o.device_name}>{o.device_name}</Link> },
  { id: 'by', header: c.by, width: 90, cell: (o) => o.actor.name },
  { id: 'created', header: c.created, width: 96, cell: (o) => <Ago at={o.created_at} /> },
  { id: 'duration', header: c.duration, width: 74, align: 'end', cell: (o) => took(o) },
  { id: 'attempts', header: c.attempts, width: 70, align: 'end', hidden: true, cell: (o) => o.attempts },
  { id: 'expires', header: c.expires, width: 110, hidden: true, cell: (o) => <Ago at={o.expires_at} /> },
  { id: 'words', header: c.words, width: 160, cell: (o) => <span className="dim" title={o.state_words}>{o.state_words}</span> },
];

function took(operation: Operation): ReactNode {
  const from = parseTime(operation.started_at);
  const to = parseTime(operation.finished_at);
  return from === undefined || to === undefined ? <span className="dim">-</span> : ((to - from) / 1000).toFixed(2);
}

const rowId = (operation: Operation) => operation.id;
const flashKey = (operation: Operation) => operation.state;

export function useOperations(filter: OperationFilter) {
  const list = useInfiniteQuery(operationsQuery(filter));
  const rows = useMemo(() => list.data?.pages.flatMap((page) => page.items), [list.data]);
  return { list, rows, total: list.data?.pages[0]?.total };
}

interface Props {
  id: string;
  filter: OperationFilter;
  without?: string[];
  empty: ReactNode;
  autoFocus?: boolean;
}

export function OperationTable({ id, filter, without, empty, autoFocus }: Props) {
  const navigate = useNavigate();
  const { list, rows } = useOperations(filter);
  const shown = useMemo(() => operationColumns.filter((column) => !without?.includes(column.id)), [without]);
  const columns = useColumns(id, shown);
  const open = useCallback((operation: Operation) => void navigate({ to: '/operations/$operationId', params: { operationId: operation.id } }), [navigate]);
  const { fetchNextPage } = list;
  const loadMore = useCallback(() => void fetchNextPage(), [fetchNextPage]);
  return (
    <DataTable
      label={t.operations.title}
      columns={columns}
      rows={rows}
      rowId={rowId}
      flashKey={flashKey}
      onOpen={open}
      hasMore={list.hasNextPage}
      loadMore={loadMore}
      loadingMore={list.isFetchingNextPage}
      failed={list.error ? <div style={{ padding: 16 }}><Failure error={list.error} retry={() => void list.refetch()} /></div> : undefined}
      empty={empty}
      autoFocus={autoFocus}
    />
  );
}

// The list of devices: filters in the URL, pages from the server, presence as it changes.
import { Button } from '@mantine/core';
import { useInfiniteQuery, useQuery, useQueryClient } from '@tanstack/react-query';
import { getRouteApi, Link, useNavigate } from '@tanstack/react-router';
import { lazy, Suspense, useCallback, useMemo } from 'react';
import { deviceMatchesQuery } from '~/api/device-matches';
import { devicesQuery, type Device, type DeviceFilter, type DeviceSort } from '~/api/devices';
import { useListBehind } from '~/api/live-queries';
import { useMay } from '~/api/session';
import { useTitle } from '~/app/crumbs';
import { useActions } from '~/app/finder';
import { parseDevicesSearch } from '~/app/search-params';
import { useChecked } from '~/app/use-search';
import { ActionButton } from '~/components/action-button';
import { useColumns } from '~/components/data-table/columns';
import { ColumnMenu } from '~/components/data-table/column-menu';
import { DataTable } from '~/components/data-table/data-table';
import { Icon } from '~/components/icon';
import { Empty, Failure } from '~/components/notice';
import { Toolbar } from '~/components/toolbar';
import { t } from '~/text';
import { deviceColumns } from './devices/columns';
import { FilterBar } from './devices/filter-bar';

const AddDevice = lazy(() => import('./devices/add-device').then((m) => ({ default: m.AddDevice })));

const route = getRouteApi('/inside/devices');
const flashKey = (device: Device) => `${device.presence.word} ${device.presence.expected_by != null} ${device.software_version ?? ''} ${device.ip ?? ''}`;
const rowId = (device: Device) => device.id;

export function DevicesPage() {
  const { add, ...filter } = useChecked(route.useSearch(), parseDevicesSearch);
  const navigate = useNavigate();
  const mayAdd = useMay('device:write');
  const columns = useColumns('devices', deviceColumns);
  const queries = useQueryClient();
  const { behind, reread } = useListBehind();
  useTitle(undefined);

  const list = useInfiniteQuery(devicesQuery(filter));
  const rows = useMemo(() => list.data?.pages.flatMap((page) => page.items), [list.data]);
  const total = list.data?.pages[0]?.total;
  const setFilter = useCallback((next: DeviceFilter) => void navigate({ to: '/devices', search: next, replace: true }), [navigate]);
  const openAdd = useCallback(() => void navigate({ to: '/devices', search: (old: object) => ({ ...old, add: true }) }), [navigate]);
  const open = useCallback((device: Device) => void navigate({ to: '/devices/$deviceId', params: { deviceId: device.id } }), [navigate]);
  const { fetchNextPage } = list;
  const loadMore = useCallback(() => void fetchNextPage(), [fetchNextPage]);
  const filtered = Object.entries(filter).some(([key]) => key !== 'sort' && key !== 'order');

  useActions(mayAdd === undefined ? [{ id: 'add-device', icon: 'plus', label: t.devices.add, run: openAdd }] : []);

  return (
    <>
      <Toolbar title={t.devices.title}>
        <FilterBar filter={filter} onChange={setFilter} />
        <Undecided />
        {behind ? <Button size="compact-sm" onClick={() => reread(queries)}>{t.devices.behind}</Button> : null}
        <span className="dim num nowrap" role="status">{total ? t.devices.count(total.value, total.exact) : ''}</span>
        <ColumnMenu columns={columns} />
        <ActionButton variant="filled" leftSection={<Icon name="plus" size={14} />} disabledReason={mayAdd} onClick={openAdd}>
          {t.devices.add}
        </ActionButton>
      </Toolbar>
      {list.error && rows ? <div style={{ padding: 12 }}><Failure error={list.error} retry={() => void list.refetch()} /></div> : null}
      <DataTable
        label={t.devices.title}
        columns={columns}
        rows={rows}
        rowId={rowId}
        onOpen={open}
        flashKey={flashKey}
        total={total?.exact ? total.value + 1 : undefined}
        hasMore={list.hasNextPage}
        loadMore={loadMore}
        loadingMore={list.isFetchingNextPage}
        sort={{ by: filter.sort ?? 'name', descending: filter.order === 'desc' }}
        onSort={(sort) => setFilter({ ...filter, sort: sort.by as DeviceSort, order: sort.descending ? 'desc' : 'asc' })}
        failed={list.error ? <div style={{ padding: 16 }}><Failure error={list.error} retry={() => void list.refetch()} /></div> : undefined}
        autoFocus
        empty={
          filtered ? (
            <Empty title={t.devices.noMatchTitle} action={<Button onClick={() => setFilter({ sort: filter.sort, order: filter.order })}>{t.devices.clearFilters}</Button>}>
              <p>{t.devices.noMatch}</p>
              {filter.q ? <p><Link to="/doctor" search={{ device: filter.q }}>{t.devices.emptyDoctor}</Link></p> : null}
            </Empty>
          ) : (
            <Empty
              title={t.devices.emptyTitle}
              action={<ActionButton variant="filled" disabledReason={mayAdd} onClick={openAdd}>{t.devices.add}</ActionButton>}
            >
              <p>{t.devices.empty}</p>
              <p><Link to="/doctor">{t.devices.emptyDoctor}</Link></p>
            </Empty>
          )
        }
      />
      {add ? (
        <Suspense>
          <AddDevice onClose={() => void navigate({ to: '/devices', search: filter })} />
        </Suspense>
      ) : null}
    </>
  );
}

/** Pairs that wait for a person; nothing where there are none. */
function Undecided() {
  const { data } = useQuery(deviceMatchesQuery(false));
  const waiting = data?.items.length ?? 0;
  return waiting > 0 ? <Link to="/devices/matches" className="small nowrap">{t.devices.pairs(waiting)}</Link> : null;
}

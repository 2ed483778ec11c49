// Files for devices and of devices, newest first: found, uploaded, looked at, saved, removed.
import { Button } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { useInfiniteQuery } from '@tanstack/react-query';
import { getRouteApi, Link, useNavigate } from '@tanstack/react-router';
import { useCallback, useEffect, useMemo, useState } from 'react';
import { fileKinds, filesQuery, type FileKind, type StoredFile } from '~/api/files';
import { useMay } from '~/api/session';
import { useTitle } from '~/app/crumbs';
import { useActions } from '~/app/finder';
import { parseFilesSearch, type FilesSearch } from '~/app/search-params';
import { useChecked } from '~/app/use-search';
import { ActionButton } from '~/components/action-button';
import { ColumnMenu } from '~/components/data-table/column-menu';
import { useColumns, type Column } from '~/components/data-table/columns';
import { DataTable } from '~/components/data-table/data-table';
import { Icon } from '~/components/icon';
import { SegmentedControl } from '~/components/mantine/segmented';
import { TextInput } from '~/components/mantine/text-input';
import { Empty, Failure } from '~/components/notice';
import { Ago } from '~/components/time';
import { Toolbar } from '~/components/toolbar';
import { bytes } from '~/lib/size';
import { t } from '~/text';
import { FileDetail } from './files/detail';
import { UploadFile } from './files/upload';

const route = getRouteApi('/inside/files');
const c = t.files.columns;
const TYPING_MS = 200;

const text = (value: string | null | undefined) => (value ? <span title={value}>{value}</span> : <span className="dim">-</span>);

const columns: Column<StoredFile>[] = [
  { id: 'name', header: c.name, width: 260, fixed: true, cell: (f) => <Link to="/files" search={(old: object) => ({ ...old, open: f.id })} tabIndex={-1} title={f.name}>{f.name}</Link> },
  { id: 'kind', header: c.kind, width: 122, cell: (f) => t.files.kinds[f.kind] },
  { id: 'vendor', header: c.vendor, width: 130, cell: (f) => text(f.vendor) },
  { id: 'model', header: c.model, width: 130, cell: (f) => text(f.model) },
  { id: 'version', header: c.version, width: 100, cell: (f) => text(f.version) },
  { id: 'size', header: c.size, width: 90, align: 'end', cell: (f) => <span title={t.files.exactBytes(f.size)}>{bytes(f.size)}</span> },
  { id: 'created', header: c.created, width: 110, cell: (f) => <Ago at={f.created_at} /> },
  { id: 'by', header: c.by, width: 130, cell: (f) => (f.device_id ? <Link to="/devices/$deviceId" params={{ deviceId: f.device_id }} tabIndex={-1}>{t.files.ofDevice}</Link> : text(f.created_by)) },
  { id: 'sha256', header: c.sha256, width: 190, cell: (f) => <span className="mono" title={f.sha256}>{f.sha256}</span> },
];

const rowId = (file: StoredFile) => file.id;

export function FilesPage() {
  const f = t.files;
  const search = useChecked(route.useSearch(), parseFilesSearch);
  const navigate = useNavigate();
  const mayNot = useMay('file:write');
  const state = useColumns('files', columns);
  const [typed, setTyped] = useState(search.q ?? '');
  const [q] = useDebouncedValue(typed.trim(), TYPING_MS);
  const filter = useMemo(() => ({ q: search.q, kind: search.kind, device_id: search.device_id }), [search.q, search.kind, search.device_id]);
  const list = useInfiniteQuery(filesQuery(filter));
  const rows = useMemo(() => list.data?.pages.flatMap((page) => page.items), [list.data]);
  useTitle(undefined);
  useActions(mayNot ? [] : [{ id: 'upload', icon: 'plus', label: f.upload, run: () => set({ ...search, upload: true }) }]);

  const set = (next: FilesSearch) => void navigate({ to: '/files', search: next, replace: true });
  useEffect(() => {
    // The address changed by itself (back, a link): the field follows.
    if ((search.q ?? '') !== q) setTyped(search.q ?? '');
  }, [search.q]);
  useEffect(() => {
    if (q !== (search.q ?? '')) set({ ...search, q: q || undefined });
  }, [q]);
  const open = useCallback((file: StoredFile) => void navigate({ to: '/files', search: (old: object) => ({ ...old, open: file.id }) }), [navigate]);
  const { fetchNextPage } = list;
  const loadMore = useCallback(() => void fetchNextPage(), [fetchNextPage]);
  const filtered = search.q || search.kind || search.device_id;
  return (
    <>
      <Toolbar title={f.title}>
        <TextInput data-page-filter w={330} aria-label={f.filter} placeholder={f.filter} leftSection={<Icon name="search" size={14} />} value={typed} onChange={(e) => setTyped(e.currentTarget.value)} onKeyDown={(e) => e.key === 'Escape' && setTyped('')} spellCheck={false} />
        <SegmentedControl
          aria-label={f.filterKind}
          value={search.kind?.length === 1 ? (search.kind[0] ?? '') : ''}
          onChange={(kind) => set({ ...search, kind: kind ? [kind as FileKind] : undefined })}
          data={[{ value: '', label: f.all }, ...fileKinds.map((kind) => ({ value: kind, label: f.kinds[kind] }))]}
        />
        {search.device_id ? <Button onClick={() => set({ ...search, device_id: undefined })}>{f.ofDeviceFilter}</Button> : null}
        <span className="grow" />
        <ColumnMenu columns={state} />
        <ActionButton variant="filled" leftSection={<Icon name="plus" size={14} />} disabledReason={mayNot} onClick={() => set({ ...search, upload: true })}>{f.upload}</ActionButton>
      </Toolbar>
      <DataTable
        label={f.title}
        columns={state}
        rows={rows}
        rowId={rowId}
        onOpen={open}
        hasMore={list.hasNextPage}
        loadMore={loadMore}
        loadingMore={list.isFetchingNextPage}
        failed={list.error ? <div style={{ padding: 16 }}><Failure error={list.error} retry={() => void list.refetch()} /></div> : undefined}
        empty={filtered ? <Empty title={f.noMatch} action={<Button onClick={() => set({})}>{f.clear}</Button>} /> : <Empty title={f.empty}><p>{f.emptyDetail}</p></Empty>}
        autoFocus
      />
      {search.open && !search.upload ? <FileDetail id={search.open} listed={rows?.find((file) => file.id === search.open)} onClose={() => set({ ...search, open: undefined })} /> : null}
      {search.upload ? <UploadFile onClose={() => set({ ...search, upload: undefined })} onStored={(file) => set({ ...search, upload: undefined, open: file.id })} /> : null}
    </>
  );
}

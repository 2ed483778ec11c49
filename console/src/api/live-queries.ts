// What an event of the stream means for what is on the screen: which answers are out of date.
// Events are gathered for a moment first, so that a burst costs one round of requests.
import type { InfiniteData, QueryClient } from '@tanstack/react-query';
import { useSyncExternalStore } from 'react';
import { deviceQuery, devicesPage, type Device, type DeviceFilter } from './devices';
import type { Event } from './events';
import type { Schemas } from './client';
import { onLiveEvent, onLiveResumed } from './live';

const GATHER_MS = 400;
/** Up to this many changed rows are fetched one by one; beyond, the list is read again. */
const ROWS_ONE_BY_ONE_MAX = 12;
/** A list is read again at most this often. */
const LIST_REFETCH_MIN_MS = 4000;
/** A list that was scrolled further than so many pages is not read again as a whole: what changed in it is. */
const PAGES_REREAD_MAX = 5;

type DevicePages = InfiniteData<Schemas['DevicePage'], string | undefined>;

export interface Gathered {
  devices: Set<string>;
  operations: Set<string>;
  /** Devices came or went: lists are incomplete. */
  membership: boolean;
  /** Devices whose values changed. */
  values: Set<string>;
  /** A connection was turned away: by which device, where that is known. */
  refused: boolean;
  /** Devices that may be one were found or decided. */
  matches: boolean;
  /** Files came, went or are described otherwise. */
  files: boolean;
}

/** The device said something; who and where it is stays as it was. */
const onlyValues = new Set(['device.value_changed', 'device.object_created', 'device.object_deleted', 'device.event', 'device.command_completed']);
/** Devices came into being or went. */
const membership = new Set(['device.created', 'device.deleted', 'device.merged', 'device.split']);

export const gatherNothing = (): Gathered => ({ devices: new Set(), operations: new Set(), membership: false, values: new Set(), refused: false, matches: false, files: false });

/** Notes what one event changes. */
export function gather(into: Gathered, event: Partial<Event>): void {
  const kind = event.kind ?? '';
  if (kind.startsWith('file.') || kind === 'transfer.finished') into.files = true;
  if (event.device_id && (kind.startsWith('device.') || kind.startsWith('operation.') || kind.startsWith('transfer.'))) {
    into.values.add(event.device_id);
    if (!onlyValues.has(kind)) into.devices.add(event.device_id);
  }
  if (kind === 'connection.refused') {
    into.refused = true;
    if (event.device_id) into.devices.add(event.device_id);
  }
  if (kind === 'device.match_found' || kind === 'device.match_rejected' || kind === 'device.merged' || kind === 'device.split') into.matches = true;
  if (event.operation_id) into.operations.add(event.operation_id);
  if (membership.has(kind)) into.membership = true;
}

/** Whether reading it again costs few requests: the pages of a list are read one after the other. */
export function isShort(query: { state: { data?: unknown } }): boolean {
  const pages = (query.state.data as Partial<DevicePages> | undefined)?.pages;
  return !Array.isArray(pages) || pages.length <= PAGES_REREAD_MAX;
}

let behind = false;
const behindListeners = new Set<() => void>();
function setBehind(to: boolean): void {
  if (behind === to) return;
  behind = to;
  for (const listener of behindListeners) listener();
}

/** Whether a long list that is shown lacks what came since; `reread` begins it anew. */
export function useListBehind(): { behind: boolean; reread: (queries: QueryClient) => void } {
  const now = useSyncExternalStore(
    (listener) => {
      behindListeners.add(listener);
      return () => behindListeners.delete(listener);
    },
    () => behind,
  );
  return {
    behind: now,
    reread: (queries) => {
      setBehind(false);
      void queries.resetQueries({ queryKey: ['devices', 'list'] });
    },
  };
}

export function connectLiveQueries(queries: QueryClient): () => void {
  let gathered = gatherNothing();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let listTimer: ReturnType<typeof setTimeout> | undefined;
  let listReadAt = 0;

  function refreshLists(): void {
    if (listTimer) return;
    const wait = Math.max(0, listReadAt + LIST_REFETCH_MIN_MS - Date.now());
    listTimer = setTimeout(() => {
      listTimer = undefined;
      listReadAt = Date.now();
      void queries.invalidateQueries({ queryKey: ['devices', 'list'], predicate: isShort });
      if (queries.getQueriesData({ queryKey: ['devices', 'list'], type: 'active', predicate: (query) => !isShort(query) }).length > 0) setBehind(true);
      void queries.invalidateQueries({ queryKey: ['devices', 'facets'] });
    }, wait);
  }

  async function refreshRows(ids: Set<string>): Promise<void> {
    const shown = new Set<string>();
    const long: { filter: DeviceFilter; cursors: (string | undefined)[] }[] = [];
    for (const [key, data] of queries.getQueriesData<DevicePages>({ queryKey: ['devices', 'list'], type: 'active' })) {
      const touched = (data?.pages ?? []).flatMap((page, i) => {
        const found = page.items.filter((device) => ids.has(device.id));
        for (const device of found) shown.add(device.id);
        return found.length > 0 ? [data?.pageParams[i]] : [];
      });
      if (!isShort({ state: { data } })) long.push({ filter: key[2] as DeviceFilter, cursors: touched });
    }
    if (shown.size <= ROWS_ONE_BY_ONE_MAX) await Promise.all([...shown].map(refreshRow));
    else if (long.length === 0) refreshLists();
    else await Promise.all(long.map(refreshPages));
  }

  async function refreshRow(id: string): Promise<void> {
    try {
      patchRow(queries, await queries.fetchQuery({ ...deviceQuery(id), staleTime: 0 }));
    } catch {
      // Gone or not readable any more: the next reading of the list tells.
    }
  }

  /** Reads again the pages that have changed rows; who is on them stays. */
  async function refreshPages({ filter, cursors }: { filter: DeviceFilter; cursors: (string | undefined)[] }): Promise<void> {
    if (cursors.length > PAGES_REREAD_MAX) return setBehind(true);
    try {
      const pages = await Promise.all(cursors.map((cursor) => devicesPage(filter, cursor)));
      for (const page of pages) for (const device of page.items) patchRow(queries, device);
    } catch {
      setBehind(true);
    }
  }

  function flush(): void {
    timer = undefined;
    const now = gathered;
    gathered = gatherNothing();
    if (now.membership) refreshLists();
    if (now.matches) void queries.invalidateQueries({ queryKey: ['device-matches'] });
    if (now.files) void queries.invalidateQueries({ queryKey: ['files'], predicate: isShort });
    if (now.refused) void queries.invalidateQueries({ queryKey: ['doctor'] });
    if (now.devices.size > 0) void refreshRows(now.devices);
    for (const id of now.devices) {
      void queries.invalidateQueries({ queryKey: ['device', id, 'detail'] });
      void queries.invalidateQueries({ queryKey: ['device', id, 'reach'] });
    }
    for (const id of now.values) {
      for (const part of ['values', 'model', 'timeline', 'sessions', 'transfers']) void queries.invalidateQueries({ queryKey: ['device', id, part] });
    }
    for (const id of now.operations) void queries.invalidateQueries({ queryKey: ['operation', id] });
    if (now.operations.size > 0) void queries.invalidateQueries({ queryKey: ['operations'] });
  }

  const offEvent = onLiveEvent((event) => {
    if (typeof event.data !== 'object' || event.data === null) return;
    gather(gathered, event.data as Partial<Event>);
    timer ??= setTimeout(flush, GATHER_MS);
  });
  const offResumed = onLiveResumed(() => {
    refreshLists();
    void queries.invalidateQueries({ predicate: isShort });
  });
  return () => {
    offEvent();
    offResumed();
    clearTimeout(timer);
    clearTimeout(listTimer);
  };
}

/** Puts one fresh device into every list that shows it, in its place. */
export function patchRow(queries: QueryClient, fresh: Device): void {
  queries.setQueriesData<DevicePages>({ queryKey: ['devices', 'list'] }, (data) => {
    if (!data) return data;
    let touched = false;
    const pages = data.pages.map((page) => {
      if (!page.items.some((item) => item.id === fresh.id)) return page;
      touched = true;
      return { ...page, items: page.items.map((item) => (item.id === fresh.id ? fresh : item)) };
    });
    return touched ? { ...data, pages } : data;
  });
}

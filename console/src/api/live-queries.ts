// What an event of the stream means for what is on the screen: which answers are out of date.
// Events are gathered for a moment first, so that a burst costs one round of requests.
import type { InfiniteData, QueryClient } from '@tanstack/react-query';
import { deviceQuery, type Device } from './devices';
import type { Event } from './events';
import type { Schemas } from './client';
import { onLiveEvent, onLiveResumed } from './live';

const GATHER_MS = 400;
/** Up to this many changed rows are fetched one by one; beyond, the list is read again. */
const ROWS_ONE_BY_ONE_MAX = 12;
/** A list is read again at most this often. */
const LIST_REFETCH_MIN_MS = 4000;

type DevicePages = InfiniteData<Schemas['DevicePage'], string | undefined>;

export interface Gathered {
  devices: Set<string>;
  operations: Set<string>;
  /** Devices came or went: lists are incomplete. */
  membership: boolean;
  /** Devices whose values changed. */
  values: Set<string>;
}

/** The device said something; who and where it is stays as it was. */
const onlyValues = new Set(['device.value_changed', 'device.object_created', 'device.object_deleted', 'device.event', 'device.command_completed']);
/** Devices came into being or went. */
const membership = new Set(['device.created', 'device.deleted', 'device.merged']);

export const gatherNothing = (): Gathered => ({ devices: new Set(), operations: new Set(), membership: false, values: new Set() });

/** Notes what one event changes. */
export function gather(into: Gathered, event: Partial<Event>): void {
  const kind = event.kind ?? '';
  if (event.device_id && (kind.startsWith('device.') || kind.startsWith('operation.'))) {
    into.values.add(event.device_id);
    if (!onlyValues.has(kind)) into.devices.add(event.device_id);
  }
  if (event.operation_id) into.operations.add(event.operation_id);
  if (membership.has(kind)) into.membership = true;
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
      void queries.invalidateQueries({ queryKey: ['devices', 'list'] });
      void queries.invalidateQueries({ queryKey: ['devices', 'facets'] });
    }, wait);
  }

  async function refreshRows(ids: Set<string>): Promise<void> {
    const shown = new Set<string>();
    for (const [, data] of queries.getQueriesData<DevicePages>({ queryKey: ['devices', 'list'], type: 'active' })) {
      for (const page of data?.pages ?? []) for (const device of page.items) if (ids.has(device.id)) shown.add(device.id);
    }
    if (shown.size > ROWS_ONE_BY_ONE_MAX) {
      refreshLists();
      return;
    }
    await Promise.all(
      [...shown].map(async (id) => {
        try {
          patchRow(queries, await queries.fetchQuery({ ...deviceQuery(id), staleTime: 0 }));
        } catch {
          // Gone or not readable any more: the next reading of the list tells.
        }
      }),
    );
  }

  function flush(): void {
    timer = undefined;
    const now = gathered;
    gathered = gatherNothing();
    if (now.membership) refreshLists();
    if (now.devices.size > 0) void refreshRows(now.devices);
    for (const id of now.devices) {
      void queries.invalidateQueries({ queryKey: ['device', id, 'detail'] });
      void queries.invalidateQueries({ queryKey: ['device', id, 'reach'] });
    }
    for (const id of now.values) {
      for (const part of ['values', 'model', 'timeline']) void queries.invalidateQueries({ queryKey: ['device', id, part] });
    }
    for (const id of now.operations) void queries.invalidateQueries({ queryKey: ['operation', id] });
    if (now.operations.size > 0) void queries.invalidateQueries({ queryKey: ['operations'] });
  }

  const offEvent = onLiveEvent((event) => {
    if (typeof event.data !== 'object' || event.data === null) return;
    gather(gathered, event.data as Partial<Event>);
    timer ??= setTimeout(flush, GATHER_MS);
  });
  const offResumed = onLiveResumed(() => void queries.invalidateQueries());
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

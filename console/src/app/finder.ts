// What the search box and the palette find: devices by any of their names, things by their id, places, actions.
import { useDebouncedValue } from '@mantine/hooks';
import { useQuery } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useEffect, useRef, useSyncExternalStore } from 'react';
import { deviceQuery, deviceSearchQuery, type Device } from '~/api/devices';
import { operationQuery } from '~/api/operations';
import { useSession } from '~/api/session';
import type { IconName } from '~/components/icon';
import { isUuid } from '~/lib/uuid';
import { t } from '~/text';

export interface Found {
  id: string;
  icon: IconName;
  label: string;
  detail?: string;
  device?: Device;
  keys?: string;
  run: () => void;
}

export interface Action {
  id: string;
  label: string;
  icon: IconName;
  keys?: string;
  run: () => void;
}

const TYPING_MS = 120;

let registered: Action[] = [];
const listeners = new Set<() => void>();

/** What the open page can do, offered in the palette while it is open. */
export function useActions(actions: Action[]): void {
  const latest = useRef(actions);
  latest.current = actions;
  const key = actions.map((action) => action.id + action.label).join('|');
  useEffect(() => {
    // The actions are the same as long as their names are; what they do is always the latest.
    const mine = latest.current.map((action, i) => ({ ...action, run: () => latest.current[i]?.run() }));
    registered = [...registered, ...mine];
    for (const listener of listeners) listener();
    return () => {
      registered = registered.filter((action) => !mine.includes(action));
      for (const listener of listeners) listener();
    };
  }, [key]);
}

export function usePageActions(): Action[] {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => registered,
  );
}

/** Devices and things by id; `settled` is true once the answer belongs to the text. */
export function useFind(text: string): { found: Found[]; settled: boolean; more: boolean } {
  const navigate = useNavigate();
  const session = useSession();
  const wanted = text.trim();
  const [typed] = useDebouncedValue(wanted, TYPING_MS);
  const isId = isUuid(typed);
  const mayDevices = session.permissions.includes('device:read');
  const search = useQuery({ ...deviceSearchQuery(typed), enabled: mayDevices && typed !== '' && !isId });
  const device = useQuery({ ...deviceQuery(typed), enabled: mayDevices && isId, retry: false });
  const operation = useQuery({ ...operationQuery(typed), enabled: isId && session.permissions.includes('operation:read'), retry: false });
  if (wanted === '') return { found: [], settled: true, more: false };

  const found: Found[] = [];
  const add = (one: Device) =>
    found.push({
      id: `device-${one.id}`,
      icon: 'devices',
      label: one.name,
      detail: [one.model, one.endpoint_ids[0], one.ip].filter(Boolean).join(' · '),
      device: one,
      run: () => void navigate({ to: '/devices/$deviceId', params: { deviceId: one.id } }),
    });
  if (isId) {
    if (device.data) add(device.data);
    const op = operation.data;
    if (op) {
      found.push({
        id: `operation-${op.id}`,
        icon: 'operations',
        label: op.summary,
        detail: op.device_name,
        run: () => void navigate({ to: '/operations/$operationId', params: { operationId: op.id } }),
      });
    }
  } else {
    for (const one of search.data?.items ?? []) add(one);
  }
  const settled = typed === wanted && (isId ? !device.isFetching && !operation.isFetching : !search.isFetching && !search.isPlaceholderData);
  const more = !isId && search.data?.next != null;
  if (settled && (more || (found.length === 0 && !isId))) {
    found.push({
      id: 'all',
      icon: 'table',
      label: found.length === 0 ? t.search.listAnyway(wanted) : t.search.listAll(wanted),
      run: () => void navigate({ to: '/devices', search: { q: wanted } }),
    });
  }
  return { found, settled, more };
}

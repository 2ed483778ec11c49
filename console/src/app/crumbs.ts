// Where one is, for the breadcrumb and the window title. A detail page names itself with `useTitle`.
import { useRouterState } from '@tanstack/react-router';
import { useEffect, useSyncExternalStore } from 'react';
import { t } from '~/text';

export interface Crumb {
  label: string;
  to?: string;
}

let title: string | undefined;
const listeners = new Set<() => void>();

function setTitle(next: string | undefined): void {
  title = next;
  for (const listener of listeners) listener();
}

/** The name of what this page shows, while it is open. */
export function useTitle(name: string | undefined): void {
  useEffect(() => {
    setTitle(name);
    document.title = name ? `${name} - Headend` : 'Headend';
    return () => setTitle(undefined);
  }, [name]);
}

const sections: Record<string, string> = {
  devices: t.frame.devices,
  operations: t.frame.operations,
  files: t.frame.files,
  events: t.frame.events,
  doctor: t.frame.doctor,
  settings: t.frame.settings,
};

export function useCrumbs(): Crumb[] {
  const pathname = useRouterState({ select: (state) => state.location.pathname });
  const name = useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => title,
  );
  const [section = '', ...rest] = pathname.split('/').filter(Boolean);
  const label = sections[section] ?? '';
  if (label === '') return [{ label: name ?? '' }];
  if (rest.length === 0) return [{ label }];
  return [{ label, to: `/${section}` }, { label: name ?? '...' }];
}

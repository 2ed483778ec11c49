// Who is signed in, where, and what they may do.
import { queryOptions, useQuery, type QueryClient } from '@tanstack/react-query';
import { useSyncExternalStore } from 'react';
import { t } from '~/text';
import { client, done, need, tenant, type Schemas } from './client';
import { asProblem } from './problem';

export type Permission = Schemas['Permission'];
export type Session = Schemas['Session'];

/** The session; null when nobody is signed in. */
export const sessionQuery = queryOptions({
  queryKey: ['session'],
  queryFn: async ({ client: queries }): Promise<Session | null> => {
    const header = tenant.get();
    try {
      return await need(client.GET('/api/v1/session'));
    } catch (error) {
      const problem = asProblem(error);
      if (problem.status === 401) {
        // Over while somebody works here: the page stays, and the person signs in again over it.
        const before = queries.getQueryData<Session | null>(['session']) ?? null;
        if (before) expire();
        return before;
      }
      // A tenant that was taken away: fall back to the user's own.
      if (header && (problem.status === 403 || problem.status === 404)) {
        tenant.set('');
        return await need(client.GET('/api/v1/session'));
      }
      throw error;
    }
  },
  staleTime: 60_000,
  retry: false,
});

let expired = false;
let renewals = 0;
const listeners = new Set<() => void>();
const tell = () => listeners.forEach((listener) => listener());
const subscribe = (listener: () => void) => {
  listeners.add(listener);
  return () => listeners.delete(listener);
};

/** The sign-in of this page is over; what it shows stays until somebody signs in again. */
export function expire(): void {
  expired = true;
  tell();
}

/** Somebody signed in again over the page. */
export function renew(queries: QueryClient, session: Session): void {
  queries.setQueryData(sessionQuery.queryKey, session);
  expired = false;
  renewals += 1;
  tell();
  void queries.invalidateQueries({ predicate: (query) => query.queryKey[0] !== 'session' });
}

export const useExpired = () => useSyncExternalStore(subscribe, () => expired);
/** Grows with each sign-in over a page: what held the old one begins anew. */
export const useRenewals = () => useSyncExternalStore(subscribe, () => renewals);

export function useSession(): Session {
  const { data } = useQuery(sessionQuery);
  if (!data) throw new Error('a page that needs a session was shown without one');
  return data;
}

export function signIn(login: string, password: string): Promise<Session> {
  return need(client.POST('/api/v1/session', { body: { login, password } }));
}

export async function signOut(queries: QueryClient): Promise<void> {
  await done(client.DELETE('/api/v1/session'));
  expired = false;
  tenant.set('');
  queries.clear();
}

export function changePassword(current: string, next: string): Promise<void> {
  return done(client.PUT('/api/v1/session/password', { body: { current, new: next } }));
}

/** Why the person may not do something; undefined when they may. */
export function useMay(permission: Permission): string | undefined {
  const session = useSession();
  return session.permissions.includes(permission) ? undefined : t.common.mayNot(permission, session.user.role);
}

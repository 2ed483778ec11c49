// The times a device came to be managed (CWMP), and what was said each time.
import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query';
import { client, need, type Schemas } from './client';
import { isShort } from './live-queries';

export type ManagementSession = Schemas['ManagementSession'];
export type SessionFault = Schemas['SessionFault'];

const PAGE = 100;
/** How often a list that is looked at is read again. */
const LOOK_EVERY_MS = 5000;

export const managementSessionsQuery = (device: string) =>
  infiniteQueryOptions({
    queryKey: ['device', device, 'sessions'],
    queryFn: ({ pageParam, signal }) =>
      need(client.GET('/api/v1/devices/{device_id}/sessions', { params: { path: { device_id: device }, query: { cursor: pageParam, limit: PAGE } }, signal })),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next ?? undefined,
    // No event tells of the end of a session; a list that is long is read again by nobody's wish but one's own.
    refetchInterval: (query) => (isShort(query) ? LOOK_EVERY_MS : false),
  });

/** One of them; it is over, and does not change. */
export const managementSessionQuery = (device: string, session: string) =>
  queryOptions({
    queryKey: ['device', device, 'session', session],
    queryFn: ({ signal }) => need(client.GET('/api/v1/devices/{device_id}/sessions/{session_id}', { params: { path: { device_id: device, session_id: session } }, signal })),
    staleTime: Infinity,
    retry: false,
  });

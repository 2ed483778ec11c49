// The event log, newest first.
import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query';
import { client, need, type Schemas } from './client';

export type Event = Schemas['Event'];

export interface EventFilter {
  kind?: string[];
  device_id?: string;
}

const PAGE = 200;

/** One event; it never changes. */
export const eventQuery = (cursor: string) =>
  queryOptions({
    queryKey: ['events', 'detail', cursor],
    queryFn: ({ signal }) => need(client.GET('/api/v1/events/{cursor}', { params: { path: { cursor } }, signal })),
    staleTime: Infinity,
    retry: false,
  });

export const eventsQuery = (filter: EventFilter) =>
  infiniteQueryOptions({
    queryKey: ['events', 'list', filter],
    queryFn: ({ pageParam, signal }) =>
      need(client.GET('/api/v1/events', { params: { query: { ...filter, order: 'desc', before: pageParam, limit: PAGE } }, signal })),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next || undefined,
  });

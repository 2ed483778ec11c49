// The event log, read from its newest end backwards.
import { infiniteQueryOptions } from '@tanstack/react-query';
import { client, need, type Schemas } from './client';

export type Event = Schemas['Event'];

export interface EventFilter {
  kind?: string[];
  device_id?: string;
}

interface Window {
  /** Newest first. */
  items: Event[];
  /** The cursor before the oldest one looked at; undefined at the beginning of the log. */
  before: number | undefined;
}

const PAGE = 200;
/** How many windows of the log are looked through for one page when a filter finds little. */
const WINDOWS_MAX = 10;

/**
 * The contract reads the log forwards from a cursor. Cursors are places in a log without gaps, so a window
 * before a place is read by asking for what came after the place minus the window.
 */
export const eventsQuery = (filter: EventFilter) =>
  infiniteQueryOptions({
    queryKey: ['events', 'list', filter],
    queryFn: async ({ pageParam, signal }): Promise<Window> => {
      const read = (after: number, limit: number) =>
        need(client.GET('/api/v1/events', { params: { query: { ...filter, after: String(after), limit } }, signal }));
      let end = pageParam;
      if (end === undefined) {
        const probe = await need(client.GET('/api/v1/events', { params: { query: { limit: 1 } }, signal }));
        end = Number(probe.head);
      }
      const items: Event[] = [];
      let before: number | undefined = end;
      for (let i = 0; i < WINDOWS_MAX && before !== undefined && items.length < PAGE / 4; i += 1) {
        const upTo: number = before;
        const from = Math.max(0, upTo - PAGE);
        const page = await read(from, PAGE);
        items.push(...page.items.filter((event) => Number(event.cursor) <= upTo).reverse());
        before = from > 0 ? from : undefined;
      }
      return { items, before };
    },
    initialPageParam: undefined as number | undefined,
    getNextPageParam: (page) => page.before,
  });

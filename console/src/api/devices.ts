// Devices: the list, one device, and what it says. Query keys start with 'devices' or ['device', id].
import { infiniteQueryOptions, keepPreviousData, queryOptions } from '@tanstack/react-query';
import { client, done, need, type Schemas } from './client';

export type Device = Schemas['Device'];
export type DeviceDetail = Schemas['DeviceDetail'];
export type PresenceWord = Schemas['PresenceWord'];
export type FacetField = Schemas['FacetField'];
export type DeviceSort = Schemas['DeviceSort'];
export type Value = Schemas['Value'];
export type ModelParameter = Schemas['ModelParameter'];
export type ModelNode = Schemas['ModelNode'];
export type ModelCommand = Schemas['ModelCommand'];
export type ModelHit = Schemas['ModelHit'];
export type ValueType = Schemas['ValueType'];
export type Reach = Schemas['Reach'];

export interface DeviceFilter {
  q?: string;
  presence?: PresenceWord[];
  manufacturer?: string[];
  model?: string[];
  product_class?: string[];
  software_version?: string[];
  tag?: string[];
  serial?: string[];
  ip?: string[];
  protocol?: string[];
  sort?: DeviceSort;
  order?: Schemas['Order'];
}

const PAGE = 200;
const VALUES_PAGE = 1000;
const HITS = 200;

/** One page of the list. */
export const devicesPage = (filter: DeviceFilter, cursor: string | undefined, signal?: AbortSignal) =>
  need(client.GET('/api/v1/devices', { params: { query: { ...filter, cursor, limit: PAGE } }, signal }));

export const devicesQuery = (filter: DeviceFilter) =>
  infiniteQueryOptions({
    queryKey: ['devices', 'list', filter],
    queryFn: ({ pageParam, signal }) => devicesPage(filter, pageParam, signal),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next ?? undefined,
    placeholderData: keepPreviousData,
  });

export const facetsQuery = (field: FacetField | undefined, prefix: string) =>
  queryOptions({
    queryKey: ['devices', 'facets', field, prefix],
    queryFn: ({ signal }) =>
      need(
        client.GET('/api/v1/devices/facets', {
          params: { query: { field: field ? [field] : undefined, prefix: prefix || undefined, limit: 20 } },
          signal,
        }),
      ),
    staleTime: 15_000,
    placeholderData: keepPreviousData,
  });

/** A few devices for the search box. */
export const deviceSearchQuery = (q: string) =>
  queryOptions({
    queryKey: ['devices', 'search', q],
    queryFn: ({ signal }) => need(client.GET('/api/v1/devices', { params: { query: { q, limit: 8 } }, signal })),
    enabled: q.trim() !== '',
    placeholderData: keepPreviousData,
  });

export const deviceQuery = (id: string) =>
  queryOptions({
    queryKey: ['device', id, 'detail'],
    queryFn: ({ signal }) => need(client.GET('/api/v1/devices/{device_id}', { params: { path: { device_id: id } }, signal })),
  });

export const reachQuery = (id: string) =>
  queryOptions({
    queryKey: ['device', id, 'reach'],
    queryFn: ({ signal }) => need(client.GET('/api/v1/devices/{device_id}/reach', { params: { path: { device_id: id } }, signal })),
  });

/** All last-known values below a path; several pages become one answer. */
export const valuesQuery = (id: string, path: string) =>
  queryOptions({
    queryKey: ['device', id, 'values', path],
    queryFn: async ({ signal }) => {
      const all: Value[] = [];
      let cursor: string | undefined;
      do {
        const page = await need(
          client.GET('/api/v1/devices/{device_id}/values', {
            params: { path: { device_id: id }, query: { path, cursor, limit: VALUES_PAGE } },
            signal,
          }),
        );
        all.push(...page.items);
        cursor = page.next ?? undefined;
      } while (cursor !== undefined);
      return all;
    },
  });

export const modelQuery = (id: string, path: string) =>
  queryOptions({
    queryKey: ['device', id, 'model', path],
    queryFn: ({ signal }) =>
      need(client.GET('/api/v1/devices/{device_id}/model', { params: { path: { device_id: id }, query: { path } }, signal })),
  });

/** Root of the data model of old gateways (TR-098). */
export const GATEWAY_ROOT = 'InternetGatewayDevice.';

export const modelSearchQuery = (id: string, q: string, limit = HITS) =>
  queryOptions({
    queryKey: ['device', id, 'search', q, limit],
    queryFn: ({ signal }) =>
      need(client.GET('/api/v1/devices/{device_id}/model/search', { params: { path: { device_id: id }, query: { q, limit } }, signal })),
    enabled: q.trim() !== '',
    placeholderData: keepPreviousData,
  });

export const timelineQuery = (id: string, kind: string[]) =>
  infiniteQueryOptions({
    queryKey: ['device', id, 'timeline', kind],
    queryFn: ({ pageParam, signal }) =>
      need(
        client.GET('/api/v1/devices/{device_id}/timeline', {
          params: { path: { device_id: id }, query: { kind: kind.length > 0 ? kind : undefined, cursor: pageParam, limit: 50 } },
          signal,
        }),
      ),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next ?? undefined,
  });

export const createDevice = (body: Schemas['DeviceCreate']) => need(client.POST('/api/v1/devices', { body }));
export const updateDevice = (id: string, body: Schemas['DevicePatch']) =>
  need(client.PATCH('/api/v1/devices/{device_id}', { params: { path: { device_id: id } }, body }));
export const deleteDevice = (id: string) => done(client.DELETE('/api/v1/devices/{device_id}', { params: { path: { device_id: id } } }));
export const readmitDevice = (id: string) => need(client.POST('/api/v1/devices/{device_id}/readmit', { params: { path: { device_id: id } } }));
/** The user name and password that it has for connection requests; it is asked to come with them at once. */
export const enterWakeCredential = (id: string, username: string, password: string) =>
  need(client.PUT('/api/v1/devices/{device_id}/wake-credential', { params: { path: { device_id: id } }, body: { username, password } }));
export const removeWakeCredential = (id: string) => done(client.DELETE('/api/v1/devices/{device_id}/wake-credential', { params: { path: { device_id: id } } }));
export const wakeDevice = (id: string) => need(client.POST('/api/v1/devices/{device_id}/wake', { params: { path: { device_id: id } } }));

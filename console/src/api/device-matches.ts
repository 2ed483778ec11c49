// Devices that may be the same one: decided by a person; merged into one, and split into two.
import { queryOptions } from '@tanstack/react-query';
import { client, done, need, type Schemas } from './client';

export type DeviceMatch = Schemas['DeviceMatch'];
export type MatchSide = Schemas['MatchSide'];

/** Pairs shown: whoever has decided these finds the next. */
const PAGE = 100;

export const deviceMatchesQuery = (rejected: boolean) =>
  queryOptions({
    queryKey: ['device-matches', rejected],
    queryFn: ({ signal }) => need(client.GET('/api/v1/device-matches', { params: { query: { rejected: rejected || undefined, limit: PAGE } }, signal })),
    staleTime: 30_000,
  });

/** They are one: gives the device that both are now. */
export const acceptMatch = (id: string) => need(client.POST('/api/v1/device-matches/{match_id}/accept', { params: { path: { match_id: id } } }));
/** They are two; nobody asks again. */
export const rejectMatch = (id: string) => done(client.POST('/api/v1/device-matches/{match_id}/reject', { params: { path: { match_id: id } } }));
/** The other one becomes part of this one, and is gone. */
export const mergeDevice = (id: string, other: string) =>
  need(client.POST('/api/v1/devices/{device_id}/merge', { params: { path: { device_id: id } }, body: { device_id: other } }));
/** A way to the device becomes a device of its own; gives that. */
export const splitDevice = (id: string, transport: string) =>
  need(client.POST('/api/v1/devices/{device_id}/split', { params: { path: { device_id: id } }, body: { transport } }));

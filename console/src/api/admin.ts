// Settings: setup keys, tokens, users, tenants, the installation; and the doctor.
import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query';
import { client, done, need, type Schemas } from './client';

export type SetupKey = Schemas['SetupKey'];
export type SetupKeyCreated = Schemas['SetupKeyCreated'];
export type Token = Schemas['Token'];
export type User = Schemas['User'];
export type Tenant = Schemas['Tenant'];
export type Refusal = Schemas['Refusal'];
export type Severity = Schemas['Severity'];

/** These lists are short: the first 500 are all there are, and the page says so when they are not. */
const LIMIT = 500;

export const setupKeysQuery = queryOptions({
  queryKey: ['setup-keys'],
  queryFn: ({ signal }) => need(client.GET('/api/v1/setup-keys', { params: { query: { limit: LIMIT } }, signal })),
});
export const createSetupKey = (body: Schemas['SetupKeyCreate']) => need(client.POST('/api/v1/setup-keys', { body }));
export const renameSetupKey = (id: string, name: string) =>
  need(client.PATCH('/api/v1/setup-keys/{setup_key_id}', { params: { path: { setup_key_id: id } }, body: { name } }));
export const revokeSetupKey = (id: string) => done(client.DELETE('/api/v1/setup-keys/{setup_key_id}', { params: { path: { setup_key_id: id } } }));

export const tokensQuery = queryOptions({
  queryKey: ['tokens'],
  queryFn: ({ signal }) => need(client.GET('/api/v1/tokens', { params: { query: { limit: LIMIT } }, signal })),
});
export const createToken = (body: Schemas['TokenCreate']) => need(client.POST('/api/v1/tokens', { body }));
export const revokeToken = (id: string) => done(client.DELETE('/api/v1/tokens/{token_id}', { params: { path: { token_id: id } } }));

export const usersQuery = queryOptions({
  queryKey: ['users'],
  queryFn: ({ signal }) => need(client.GET('/api/v1/users', { params: { query: { limit: LIMIT } }, signal })),
});
export const createUser = (body: Schemas['UserCreate']) => need(client.POST('/api/v1/users', { body }));
export const updateUser = (id: string, body: Schemas['UserPatch']) =>
  need(client.PATCH('/api/v1/users/{user_id}', { params: { path: { user_id: id } }, body }));
export const deleteUser = (id: string) => done(client.DELETE('/api/v1/users/{user_id}', { params: { path: { user_id: id } } }));
export const resetPassword = (id: string) => need(client.POST('/api/v1/users/{user_id}/password', { params: { path: { user_id: id } } }));

export const rolesQuery = queryOptions({
  queryKey: ['roles'],
  queryFn: ({ signal }) => need(client.GET('/api/v1/roles', { signal })),
  staleTime: 300_000,
});

export const tenantsQuery = queryOptions({
  queryKey: ['tenants'],
  queryFn: ({ signal }) => need(client.GET('/api/v1/tenants', { params: { query: { limit: LIMIT } }, signal })),
});
export const createTenant = (body: Schemas['TenantCreate']) => need(client.POST('/api/v1/tenants', { body }));
export const renameTenant = (id: string, name: string) =>
  need(client.PATCH('/api/v1/tenants/{tenant_id}', { params: { path: { tenant_id: id } }, body: { name } }));

/** Shuts everybody of a tenant out, or lets them in again. */
export const disableTenant = (id: string, disabled: boolean) =>
  need(client.PATCH('/api/v1/tenants/{tenant_id}', { params: { path: { tenant_id: id } }, body: { disabled } }));

export const systemQuery = queryOptions({
  queryKey: ['system'],
  queryFn: ({ signal }) => need(client.GET('/api/v1/system', { signal })),
  staleTime: 60_000,
});

export const doctorQuery = (device: string) =>
  queryOptions({
    queryKey: ['doctor', 'findings', device],
    queryFn: ({ signal }) => need(client.GET('/api/v1/doctor', { params: { query: { device: device || undefined } }, signal })),
  });

export const refusalsQuery = (endpoint_id: string) =>
  infiniteQueryOptions({
    queryKey: ['doctor', 'refusals', endpoint_id],
    queryFn: ({ pageParam, signal }) =>
      need(client.GET('/api/v1/doctor/refusals', { params: { query: { endpoint_id: endpoint_id || undefined, cursor: pageParam, limit: 100 } }, signal })),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next ?? undefined,
  });

// The one door to the server: the generated types, the tenant chosen, and every refusal as a Problem.
import createClient, { type Middleware } from 'openapi-fetch';
import type { components, paths } from '~/generated/api';
import { learnServerTime } from '~/lib/clock';
import { Problem, problemOf, unreachable } from './problem';

export type Schemas = components['schemas'];

const TENANT_KEY = 'headend.tenant';

/** The tenant this tab acts in; empty means the user's own. Kept per tab, so two tabs can look at two tenants. */
export const tenant = {
  get(): string {
    try {
      return sessionStorage.getItem(TENANT_KEY) ?? '';
    } catch {
      return '';
    }
  },
  set(id: string): void {
    try {
      if (id) sessionStorage.setItem(TENANT_KEY, id);
      else sessionStorage.removeItem(TENANT_KEY);
    } catch {
      // Storage is forbidden: the choice cannot be kept, the user's own tenant is used.
    }
  },
};

let onSignedOut: () => void = () => {};
/** Called when the server says that nobody is signed in any more. */
export function whenSignedOut(listener: () => void): void {
  onSignedOut = listener;
}

/** Says so. */
export function signedOut(): void {
  onSignedOut();
}

/** A fetch whose failure is a Problem: the network's, and nobody else's. */
export function answered(fetcher: (request: Request) => Promise<Response>): (request: Request) => Promise<Response> {
  return async (request) => {
    try {
      return await fetcher(request);
    } catch (error) {
      throw error instanceof TypeError ? unreachable() : error;
    }
  };
}

const middleware: Middleware = {
  onRequest({ request }) {
    const chosen = tenant.get();
    if (chosen) request.headers.set('Headend-Tenant', chosen);
    return request;
  },
  onResponse({ request, response }) {
    learnServerTime(response.headers.get('date'));
    if (response.status === 401 && !new URL(request.url).pathname.endsWith('/session')) signedOut();
    return undefined;
  },
};

export const client = createClient<paths>({
  baseUrl: globalThis.location?.origin ?? '',
  credentials: 'same-origin',
  fetch: answered((request) => fetch(request)),
  // `presence=online&presence=quiet`, as the contract has it.
  querySerializer: { array: { style: 'form', explode: true } },
});
client.use(middleware);

interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** The data of an answer, or a thrown Problem. */
export async function need<T>(pending: Promise<Answer<T>>): Promise<T> {
  const { data, error, response } = await pending;
  if (!response.ok) throw problemOf(response, error);
  if (data === undefined) throw new Problem({ status: response.status, title: 'The server sent an empty answer' });
  return data;
}

/** For answers without a body. */
export async function done(pending: Promise<Answer<unknown>>): Promise<void> {
  const { error, response } = await pending;
  if (!response.ok) throw problemOf(response, error);
}

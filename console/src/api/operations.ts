// Operations: previewed, applied, followed, cancelled.
import { infiniteQueryOptions, keepPreviousData, queryOptions } from '@tanstack/react-query';
import { client, need, type Schemas } from './client';

export type Op = Schemas['Op'];
export type Operation = Schemas['Operation'];
export type OperationState = Schemas['OperationState'];
export type Preview = Schemas['Preview'];
export type Step = Schemas['Step'];
export type StepState = Schemas['StepState'];
export type StepError = Schemas['StepError'];
export type PathResult = Schemas['PathResult'];
export type TranscriptEntry = Schemas['TranscriptEntry'];

export const operationStates: OperationState[] = [
  'queued', 'running', 'verifying', 'succeeded', 'partly', 'failed', 'expired', 'cancelled', 'unconfirmed',
];

export function isFinal(state: OperationState): boolean {
  return state !== 'queued' && state !== 'running' && state !== 'verifying';
}

export interface OperationFilter {
  device_id?: string;
  state?: OperationState[];
  user_id?: string;
}

const PAGE = 100;
/** While an operation is under way the stream tells of changes; this is the net below it. */
const OPEN_REFETCH_MS = 5000;

export const operationsQuery = (filter: OperationFilter) =>
  infiniteQueryOptions({
    queryKey: ['operations', 'list', filter],
    queryFn: ({ pageParam, signal }) =>
      need(client.GET('/api/v1/operations', { params: { query: { ...filter, cursor: pageParam, limit: PAGE } }, signal })),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next ?? undefined,
    placeholderData: keepPreviousData,
  });

/** Shown instead of a secret. */
const MASK = '********';

/** Whether an op told the device something that is shown masked, so that the op cannot be sent again as it is shown. */
export function holdsSecret(op: Op): boolean {
  if (op.kind === 'set' || op.kind === 'add') return op.parameters?.some((one) => one.value === MASK) ?? false;
  return op.kind === 'operate' && Object.values(op.input ?? {}).includes(MASK);
}

export const operationQuery = (id: string) =>
  queryOptions({
    queryKey: ['operation', id, 'detail'],
    queryFn: ({ signal }) => need(client.GET('/api/v1/operations/{operation_id}', { params: { path: { operation_id: id } }, signal })),
    refetchInterval: (query) => (query.state.data && isFinal(query.state.data.state) ? false : OPEN_REFETCH_MS),
  });

export const transcriptQuery = (id: string) =>
  infiniteQueryOptions({
    queryKey: ['operation', id, 'transcript'],
    queryFn: ({ pageParam, signal }) =>
      need(
        client.GET('/api/v1/operations/{operation_id}/transcript', {
          params: { path: { operation_id: id }, query: { cursor: pageParam, limit: PAGE } },
          signal,
        }),
      ),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next ?? undefined,
  });

/** What each op would do. An operation carries one op, so several are several previews, shown as one. */
export async function preview(device: string, ops: Op[]): Promise<Preview> {
  const previews = await Promise.all(
    ops.map(async (op, index) => {
      const { preview: found } = await need(
        client.POST('/api/v1/devices/{device_id}/operations', { params: { path: { device_id: device } }, body: { mode: 'preview', ops: [op] } }),
      );
      return { ...found, items: found.items.map((item) => ({ ...item, op: index })) };
    }),
  );
  return mergePreviews(previews);
}

function mergePreviews(previews: Preview[]): Preview {
  return {
    summary: previews.map((one) => one.summary).join('; '),
    items: previews.flatMap((one) => one.items),
    blocked: previews.some((one) => one.blocked),
    warnings: [...new Set(previews.flatMap((one) => one.warnings))],
  };
}

/** Stores an operation. `key` makes a repetition of the same click harmless. */
export async function apply(device: string, op: Op, key: string, note?: string, expires_in_seconds?: number): Promise<Operation> {
  const answer = await need(
    client.POST('/api/v1/devices/{device_id}/operations', {
      params: { path: { device_id: device }, header: { 'Idempotency-Key': key } },
      body: { mode: 'apply', ops: [op], note: note || undefined, expires_in_seconds },
    }),
  );
  if (!answer.operation) throw new Error('the server stored no operation');
  return answer.operation;
}

/** Stores several operations in order. Sent again after a failure, those already stored are answered as they are. */
export async function applyAll(device: string, ops: Op[], key: string, note?: string): Promise<Operation[]> {
  const stored: Operation[] = [];
  for (const [index, op] of ops.entries()) stored.push(await apply(device, op, `${key}-${index}`, note));
  return stored;
}

export const cancelOperation = (id: string) =>
  need(client.POST('/api/v1/operations/{operation_id}/cancel', { params: { path: { operation_id: id } } }));

/** A key for one intention: the same as long as the person means the same click. */
export function freshKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

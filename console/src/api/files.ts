// Files for devices and of devices: listed, uploaded with progress, saved, described, removed; and sent to or fetched
// from a device by an operation.
import { infiniteQueryOptions, keepPreviousData, queryOptions } from '@tanstack/react-query';
import { client, done, need, signedOut, tenant, type Schemas } from './client';
import { problemOf, unreachable } from './problem';

export type StoredFile = Schemas['File'];
export type FileKind = Schemas['FileKind'];
export type Transfer = Schemas['Transfer'];
export type TransferState = Schemas['TransferState'];
export type DownloadCreate = Schemas['DownloadCreate'];
export type UploadCreate = Schemas['UploadCreate'];
export type FilePatch = Schemas['FilePatch'];

export const fileKinds: FileKind[] = ['firmware', 'configuration', 'upload', 'other'];

export interface FileFilter {
  q?: string;
  kind?: FileKind[];
  device_id?: string;
}

const PAGE = 100;
/** Transfers of a device that its page shows. */
const TRANSFERS = 5;

export const filesQuery = (filter: FileFilter) =>
  infiniteQueryOptions({
    queryKey: ['files', 'list', filter],
    queryFn: ({ pageParam, signal }) => need(client.GET('/api/v1/files', { params: { query: { ...filter, cursor: pageParam, limit: PAGE } }, signal })),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next ?? undefined,
    placeholderData: keepPreviousData,
  });

/** A page of files to choose from. */
export const fileChoiceQuery = (q: string) =>
  queryOptions({
    queryKey: ['files', 'choice', q],
    queryFn: ({ signal }) => need(client.GET('/api/v1/files', { params: { query: { q: q || undefined, kind: ['firmware', 'configuration', 'other', 'upload'], limit: PAGE } }, signal })),
    placeholderData: keepPreviousData,
  });

export const fileQuery = (id: string) =>
  queryOptions({
    queryKey: ['files', 'detail', id],
    queryFn: ({ signal }) => need(client.GET('/api/v1/files/{file_id}', { params: { path: { file_id: id } }, signal })),
    retry: false,
  });

export const updateFile = (id: string, body: FilePatch) => need(client.PATCH('/api/v1/files/{file_id}', { params: { path: { file_id: id } }, body }));
export const deleteFile = (id: string) => done(client.DELETE('/api/v1/files/{file_id}', { params: { path: { file_id: id } } }));

/** What is in a file; asked for like everything else, so that it is of the tenant one acts in. */
export const fileContent = async (id: string): Promise<Blob> =>
  (await need(client.GET('/api/v1/files/{file_id}/content', { params: { path: { file_id: id } }, parseAs: 'blob' }))) as unknown as Blob;

/** Hands bytes to the browser as a file to keep. */
export function saveAs(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  const link = Object.assign(document.createElement('a'), { href: url, download: name });
  link.click();
  // The browser has taken hold of it by the next turn.
  setTimeout(() => URL.revokeObjectURL(url), 0);
}

export interface FileAbout {
  name: string;
  kind: FileKind;
  vendor?: string;
  model?: string;
  version?: string;
  note?: string;
  /** What the bytes must come to; others are refused. */
  sha256?: string;
}

/** The query of an upload: what was left empty is left out. Pure. */
export function uploadQuery(about: FileAbout): string {
  const given = Object.entries(about).flatMap(([name, value]) => (value?.trim() ? [[name, value.trim()] as [string, string]] : []));
  return new URLSearchParams(given).toString();
}

/** Sends a file; a request that tells how far it is, which `fetch` cannot. */
export function uploadFile(body: Blob, about: FileAbout, onProgress: (bytes: number) => void, signal: AbortSignal): Promise<StoredFile> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open('POST', `/api/v1/files?${uploadQuery(about)}`);
    request.setRequestHeader('content-type', 'application/octet-stream');
    const chosen = tenant.get();
    if (chosen) request.setRequestHeader('Headend-Tenant', chosen);
    request.upload.onprogress = (event) => onProgress(event.loaded);
    request.onerror = () => reject(unreachable());
    request.onabort = () => reject(new DOMException('cancelled', 'AbortError'));
    request.onload = () => {
      if (request.status === 401) signedOut();
      const answer = parsed(request.responseText);
      if (request.status >= 200 && request.status < 300) resolve(answer as StoredFile);
      else reject(problemOf(answerOf(request), answer));
    };
    signal.addEventListener('abort', () => request.abort(), { once: true });
    request.send(body);
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** The part of an answer that a problem is made of. */
function answerOf(request: XMLHttpRequest): Response {
  const headers = new Headers();
  for (const name of ['retry-after', 'x-request-id']) {
    const value = request.getResponseHeader(name);
    if (value) headers.set(name, value);
  }
  return new Response(null, { status: request.status, headers });
}

export const transfersQuery = (device: string) =>
  queryOptions({
    queryKey: ['device', device, 'transfers'],
    queryFn: ({ signal }) => need(client.GET('/api/v1/devices/{device_id}/transfers', { params: { path: { device_id: device }, query: { limit: TRANSFERS } }, signal })),
  });

/** Looks at, or asks for, a file to be fetched by the device. */
export const sendToDevice = (device: string, body: DownloadCreate, key?: string) =>
  need(client.POST('/api/v1/devices/{device_id}/downloads', { params: { path: { device_id: device }, header: { 'Idempotency-Key': key } }, body }));

/** Looks at, or asks for, a file to be sent by the device. */
export const fetchFromDevice = (device: string, body: UploadCreate, key?: string) =>
  need(client.POST('/api/v1/devices/{device_id}/uploads', { params: { path: { device_id: device }, header: { 'Idempotency-Key': key } }, body }));

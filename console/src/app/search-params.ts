// The state of a page lives in its URL. What is not understood is dropped, never an error:
// a link from last year still opens the page.
import type { DeviceFilter, DeviceSort, PresenceWord } from '~/api/devices';
import { fileKinds, type FileKind } from '~/api/files';
import { operationStates, type OperationState } from '~/api/operations';

type Raw = Record<string, unknown>;

const presenceWords: PresenceWord[] = ['online', 'silent', 'offline', 'never'];
const deviceSorts: DeviceSort[] = ['name', 'last_seen', 'created', 'manufacturer', 'model', 'software_version', 'serial'];

function text(value: unknown): string | undefined {
  if (typeof value === 'string') return value.trim() || undefined;
  // The router reads ?q=42 as a number.
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  return undefined;
}

function list(value: unknown): string[] | undefined {
  const entries = (Array.isArray(value) ? value : [value]).flatMap((entry) => text(entry) ?? []);
  return entries.length > 0 ? [...new Set(entries)] : undefined;
}

function among<T extends string>(value: unknown, known: readonly T[]): T | undefined {
  return known.find((entry) => entry === value);
}

function listAmong<T extends string>(value: unknown, known: readonly T[]): T[] | undefined {
  const entries = list(value)?.flatMap((entry) => among(entry, known) ?? []);
  return entries && entries.length > 0 ? entries : undefined;
}

/** Leaves out what is undefined, so that it does not show up in the URL. */
function compact<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, v]) => v !== undefined)) as T;
}

export function parseDevicesSearch(raw: Raw): DeviceFilter & { add?: boolean } {
  return compact({
    q: text(raw.q),
    presence: listAmong(raw.presence, presenceWords),
    manufacturer: list(raw.manufacturer),
    model: list(raw.model),
    product_class: list(raw.product_class),
    software_version: list(raw.software_version),
    tag: list(raw.tag),
    serial: list(raw.serial),
    ip: list(raw.ip),
    protocol: list(raw.protocol),
    sort: among(raw.sort, deviceSorts),
    order: among(raw.order, ['asc', 'desc'] as const),
    add: raw.add === true || undefined,
  });
}

export const deviceTabs = ['overview', 'model', 'commands', 'operations', 'sessions', 'reach'] as const;
export type DeviceTab = (typeof deviceTabs)[number];

export interface DeviceSearch {
  tab?: DeviceTab;
  /** The object opened in the data model. */
  path?: string;
  /** What is looked for in the data model. */
  find?: string;
  /** The operation whose details are open. */
  operation?: string;
  /** The session that is opened. */
  session?: string;
}

export function parseDeviceSearch(raw: Raw): DeviceSearch {
  return compact({
    tab: among(raw.tab, deviceTabs),
    path: text(raw.path),
    find: text(raw.find),
    operation: text(raw.operation),
    session: text(raw.session),
  });
}

export interface OperationsSearch {
  state?: OperationState[];
  device_id?: string;
  user_id?: string;
}

export function parseOperationsSearch(raw: Raw): OperationsSearch {
  return compact({ state: listAmong(raw.state, operationStates), device_id: text(raw.device_id), user_id: text(raw.user_id) });
}

export interface EventsSearch {
  kind?: string[];
  device_id?: string;
  /** The event whose details are open. */
  open?: string;
}

export function parseEventsSearch(raw: Raw): EventsSearch {
  return compact({ kind: list(raw.kind), device_id: text(raw.device_id), open: text(raw.open) });
}

export interface FilesSearch {
  q?: string;
  kind?: FileKind[];
  device_id?: string;
  /** The file whose details are open. */
  open?: string;
  /** The form for a new one is open. */
  upload?: boolean;
}

export function parseFilesSearch(raw: Raw): FilesSearch {
  return compact({ q: text(raw.q), kind: listAmong(raw.kind, fileKinds), device_id: text(raw.device_id), open: text(raw.open), upload: raw.upload === true || undefined });
}

export function parseDoctorSearch(raw: Raw): { device?: string } {
  return compact({ device: text(raw.device) });
}

/** Which certificates: those in force that end soon, revoked ones, or all; of one endpoint. */
export type CertificatesShow = 'soon' | 'revoked';

export function parseCertificatesSearch(raw: Raw): { show?: CertificatesShow; endpoint?: string } {
  return compact({ show: raw.show === 'soon' || raw.show === 'revoked' ? raw.show : undefined, endpoint: text(raw.endpoint) });
}

export function parseSignInSearch(raw: Raw): { to?: string } {
  const to = text(raw.to);
  // Only addresses of this console: a sign-in never leads to another site.
  return compact({ to: to && /^\/(?![/\\])/.test(to) && !to.startsWith('/sign-in') ? to : undefined });
}

// A device in plain words, out of its last-known values. Pure: values in, sections out; only what is there.
import type { Value } from '~/api/devices';
import { parseTime } from '~/lib/time';

export type Values = ReadonlyMap<string, Value>;

/**
 * What the overview shows beside the own parameters of DeviceInfo, and nothing else: a host has thousands of
 * processes below DeviceInfo.
 */
export const overviewPaths = [
  'Device.DeviceInfo.MemoryStatus.', 'Device.DeviceInfo.ProcessStatus.CPUUsage', 'Device.DeviceInfo.TemperatureStatus.', 'Device.WiFi.', 'Device.IP.', 'Device.Ethernet.', 'Device.Hosts.', 'Device.Cellular.', 'Device.Time.',
];

/** What one reading for the overview asks for. */
export const readPaths = ['Device.DeviceInfo.', 'Device.WiFi.', 'Device.IP.', 'Device.Ethernet.', 'Device.Hosts.', 'Device.Cellular.', 'Device.Time.'];

export function toMap(lists: readonly (readonly Value[] | undefined)[]): Values {
  const map = new Map<string, Value>();
  for (const list of lists) for (const value of list ?? []) map.set(value.path, value);
  return map;
}

/** The rows of a table that have values, in the order of their numbers: "Device.WiFi.SSID." gives "Device.WiFi.SSID.1." and so on. */
export function rowsOf(values: Values, table: string): string[] {
  const numbers = new Set<number>();
  for (const path of values.keys()) {
    if (!path.startsWith(table)) continue;
    const number = Number.parseInt(path.slice(table.length), 10);
    if (Number.isInteger(number)) numbers.add(number);
  }
  return [...numbers].sort((a, b) => a - b).map((number) => `${table}${number}.`);
}

export function text(values: Values, path: string): string | undefined {
  const found = values.get(path)?.value;
  return found === undefined || found === '' ? undefined : found;
}

export function flag(values: Values, path: string): boolean | undefined {
  const found = values.get(path)?.value;
  return found === 'true' || found === '1' ? true : found === 'false' || found === '0' ? false : undefined;
}

export function number(values: Values, path: string): number | undefined {
  const found = values.get(path)?.value;
  if (found === undefined || found === '') return undefined;
  const n = Number(found);
  return Number.isFinite(n) ? n : undefined;
}

/** A reference as an object path with its dot: LowerLayers and the like; the first of a list. */
export function reference(values: Values, path: string): string | undefined {
  const first = text(values, path)?.split(',')[0]?.trim();
  return first ? (first.endsWith('.') ? first : `${first}.`) : undefined;
}

export interface WifiNetwork {
  path: string;
  ssid: string | undefined;
  enabled: boolean | undefined;
  status: string | undefined;
  band: string | undefined;
  channel: string | undefined;
  /** The access point that carries it: security is there. */
  accessPoint: string | undefined;
  security: string | undefined;
  clients: number | undefined;
}

export function wifiNetworks(values: Values): WifiNetwork[] {
  const points = rowsOf(values, 'Device.WiFi.AccessPoint.');
  return rowsOf(values, 'Device.WiFi.SSID.').map((path) => {
    const radio = reference(values, `${path}LowerLayers`);
    const accessPoint = points.find((point) => reference(values, `${point}SSIDReference`) === path);
    return {
      path,
      ssid: values.get(`${path}SSID`)?.value,
      enabled: flag(values, `${path}Enable`),
      status: text(values, `${path}Status`),
      band: radio ? text(values, `${radio}OperatingFrequencyBand`) : undefined,
      channel: radio ? text(values, `${radio}Channel`) : undefined,
      accessPoint,
      security: accessPoint ? text(values, `${accessPoint}Security.ModeEnabled`) : undefined,
      clients: accessPoint
        ? (number(values, `${accessPoint}AssociatedDeviceNumberOfEntries`) ?? rowsOf(values, `${accessPoint}AssociatedDevice.`).length)
        : undefined,
    };
  });
}

export type Side = 'internet' | 'home';

export interface IpInterface {
  path: string;
  name: string | undefined;
  status: string | undefined;
  addresses: string[];
  /** How the address came about: DHCP, static, ... */
  how: string | undefined;
  /** Towards whom it goes; undefined when the device does not say. */
  side: Side | undefined;
  received: number | undefined;
  sent: number | undefined;
}

/** Layers below an IP interface that are followed: real stacks are four or five deep. */
const LAYERS_MAX = 8;
const upstreamParts = ['Device.PPP.', 'Device.Cellular.', 'Device.DSL.', 'Device.Optical.', 'Device.DOCSIS.', 'Device.PTM.', 'Device.ATM.', 'Device.FAST.'];

/** Which way an interface goes, by what it stands on. */
function sideOf(values: Values, path: string, depth = 0): Side | undefined {
  if (upstreamParts.some((part) => path.startsWith(part))) return 'internet';
  const upstream = flag(values, `${path}Upstream`);
  if (upstream !== undefined) return upstream ? 'internet' : 'home';
  if (path.startsWith('Device.WiFi.SSID.')) return 'home';
  if (depth >= LAYERS_MAX) return undefined;
  const sides = (text(values, `${path}LowerLayers`) ?? '')
    .split(',')
    .filter((below) => below.trim() !== '')
    .map((below) => sideOf(values, `${below.trim().replace(/\.$/, '')}.`, depth + 1));
  return sides.find((side) => side === 'internet') ?? sides.find((side) => side !== undefined);
}

/** Addresses of networks at home (RFC 1918). */
const atHome = (address: string) => /^(10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.)/.test(address);

/**
 * The IP interfaces, those to the Internet first; the loopback leads nowhere and is left out. Old gateways do not say
 * of their own network what it stands on: beside one that leads to the Internet, a fixed private address is that of the
 * home.
 */
export function ipInterfaces(values: Values): IpInterface[] {
  const all = interfaces(values);
  if (!all.some((one) => one.side === 'internet')) return all;
  return all.map((one) => (one.side === undefined && one.how === 'Static' && one.addresses.length > 0 && one.addresses.every(atHome) ? { ...one, side: 'home' as const } : one));
}

function interfaces(values: Values): IpInterface[] {
  const order = (side: Side | undefined) => (side === 'internet' ? 0 : side === 'home' ? 1 : 2);
  return rowsOf(values, 'Device.IP.Interface.')
    .filter((path) => flag(values, `${path}Loopback`) !== true && text(values, `${path}Type`) !== 'Loopback' && text(values, `${path}Name`) !== 'lo')
    .map((path) => {
      const v4 = rowsOf(values, `${path}IPv4Address.`);
      const v6 = rowsOf(values, `${path}IPv6Address.`);
      return {
        path,
        name: text(values, `${path}Name`) ?? text(values, `${path}Alias`),
        status: text(values, `${path}Status`),
        addresses: [...v4, ...v6].flatMap((one) => text(values, `${one}IPAddress`) ?? []),
        how: v4.map((one) => text(values, `${one}AddressingType`)).find(Boolean),
        side: sideOf(values, path),
        received: number(values, `${path}Stats.BytesReceived`),
        sent: number(values, `${path}Stats.BytesSent`),
      };
    })
    .sort((a, b) => order(a.side) - order(b.side));
}

export interface Host {
  path: string;
  name: string | undefined;
  address: string | undefined;
  mac: string | undefined;
  link: string | undefined;
  signal: number | undefined;
  active: boolean | undefined;
}

/** The signal of each Wi-Fi client, by its MAC address. */
function signals(values: Values): Map<string, number> {
  const found = new Map<string, number>();
  for (const point of rowsOf(values, 'Device.WiFi.AccessPoint.')) {
    for (const client of rowsOf(values, `${point}AssociatedDevice.`)) {
      const mac = text(values, `${client}MACAddress`);
      const signal = number(values, `${client}SignalStrength`);
      if (mac && signal !== undefined) found.set(mac.toUpperCase(), signal);
    }
  }
  return found;
}

/** Devices in the home: those that are there first, then by name. */
export function hosts(values: Values): Host[] {
  const byMac = signals(values);
  return rowsOf(values, 'Device.Hosts.Host.')
    .map((path) => {
      const associated = reference(values, `${path}AssociatedDevice`);
      const mac = text(values, `${path}PhysAddress`);
      const layer1 = text(values, `${path}Layer1Interface`) ?? '';
      return {
        path,
        name: text(values, `${path}HostName`),
        address: text(values, `${path}IPAddress`),
        mac,
        link: text(values, `${path}InterfaceType`) ?? (layer1.includes('WiFi') ? 'Wi-Fi' : layer1.includes('Ethernet') ? 'Ethernet' : undefined),
        signal: (associated ? number(values, `${associated}SignalStrength`) : undefined) ?? byMac.get(mac?.toUpperCase() ?? ''),
        active: flag(values, `${path}Active`),
      };
    })
    .sort((a, b) => Number(b.active === true) - Number(a.active === true) || (a.name ?? '\uffff').localeCompare(b.name ?? '\uffff'));
}

/** Readings of one answer lie less far apart. */
const ONE_READING_MS = 60_000;

export interface Evidence {
  at: string;
  source: string;
  /** The oldest reading among them, when it is clearly older: the newest does not speak for all. */
  oldest: string | undefined;
}

/** The newest reading below the paths with where it comes from, and how far back the others go. */
export function evidence(values: Values, prefixes: string[]): Evidence | undefined {
  let newest: Value | undefined;
  let oldest: Value | undefined;
  for (const value of values.values()) {
    if (!prefixes.some((prefix) => value.path.startsWith(prefix))) continue;
    if (!newest || value.at > newest.at) newest = value;
    if (!oldest || value.at < oldest.at) oldest = value;
  }
  if (!newest || !oldest) return undefined;
  const apart = (parseTime(newest.at) ?? 0) - (parseTime(oldest.at) ?? 0);
  return { at: newest.at, source: newest.source, oldest: apart > ONE_READING_MS ? oldest.at : undefined };
}

/**
 * When the device started, in milliseconds: what it was up for when that was read, counted back from the reading. A
 * start that was heard since then is a later one. Undefined while its up time was never read.
 */
export function upSince(values: Values, lastBoot: string | null | undefined): number | undefined {
  const read = parseTime(values.get('Device.DeviceInfo.UpTime')?.at);
  const seconds = number(values, 'Device.DeviceInfo.UpTime');
  if (read === undefined || seconds === undefined) return undefined;
  const boot = parseTime(lastBoot);
  return boot !== undefined && boot > read ? boot : read - seconds * 1000;
}

// What the device is and does, in plain words, each part with where it comes from and when; edited in place.
import { Skeleton } from '@mantine/core';
import { useQueries, useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useMemo, type ReactNode } from 'react';
import { modelQuery, valuesQuery, type DeviceDetail, type ValueType } from '~/api/devices';
import { Empty, Failure } from '~/components/notice';
import { State, type Tone } from '~/components/state';
import { Ago, useStale } from '~/components/time';
import { useClock } from '~/lib/clock';
import { duration, parseTime } from '~/lib/time';
import { timeValue } from '~/lib/time-value';
import { bytes } from '~/lib/size';
import { t } from '~/text';
import { Editable } from './editable';
import { ActionButton } from '~/components/action-button';
import { useMay } from '~/api/session';
import { protocolWords } from './names';
import { evidence, flag, hosts, ipInterfaces, number, overviewPaths, readPaths, rowsOf, text, toMap, upSince, wifiNetworks, type Values } from './overview-data';
import { ReadNow, useReadNow } from './read-now';
import type { Staging } from './staging';
import { Transfers } from './transfers';
import classes from './overview.module.css';

/** Values older than this are shown dimmed: nothing has refreshed them for a while. */
const STALE_MS = 60 * 60 * 1000;
const HOSTS_SHOWN = 30;
/** A device that started so recently may still be settling. */
const RECENT_BOOT_MS = 10 * 60 * 1000;

const plain = (base: string, more: Partial<ValueType> = {}): ValueType => ({ base, list: false, enumeration: [], ranges: [], words: base, ...more });
// What the standard says of the few parameters that are edited here; the data model page has all of them.
const types = {
  ssid: plain('string', { length_min: 1, length_max: 32 }),
  key: plain('string', { length_min: 8, length_max: 63 }),
  on: plain('boolean'),
};

export function Overview({ device, staging }: { device: DeviceDetail; staging: Staging }) {
  const o = t.device.overview;
  const mayNot = useMay('operation:run');
  const read = useReadNow(device.id, readPaths);
  const queries = useQueries({ queries: overviewPaths.map((path) => valuesQuery(device.id, path)) });
  const info = useQuery(modelQuery(device.id, 'Device.DeviceInfo.'));
  const own = useMemo(() => info.data?.parameters.flatMap((parameter) => parameter.value ?? []), [info.data]);
  const lists = [own, ...queries.map((query) => query.data)];
  const values = useMemo(() => toMap(lists), lists);
  const failed = [info, ...queries].find((query) => query.error);
  if (failed?.error) return <div style={{ padding: 16 }}><Failure error={failed.error} retry={() => [info, ...queries].forEach((query) => void query.refetch())} /></div>;
  if (lists.some((list) => list === undefined)) return <Loading />;
  if (values.size === 0) {
    return (
      <Empty title={o.nothing} action={<ActionButton variant="filled" disabledReason={mayNot} loading={read.busy} onClick={read.start}>{t.model.readNow}</ActionButton>}>
        <p>{read.waits ? t.model.readWaits : o.nothingHow}</p>
      </Empty>
    );
  }
  return (
    <div className={classes.sections}>
      <Glance device={device} values={values} />
      <Transfers device={device} open />
      <About device={device} values={values} />
      <Wifi device={device} values={values} staging={staging} />
      <Hosts device={device} values={values} />
      <Network device={device} values={values} />
      <Cellular device={device} values={values} />
      <Radios device={device} values={values} />
      <Ports device={device} values={values} />
      <Transfers device={device} open={false} />
    </div>
  );
}

function Loading() {
  return (
    <div className={classes.sections} aria-busy="true">
      {Array.from({ length: 3 }, (_, i) => (
        <div key={i} className={classes.section}>
          <div className={classes.head}><Skeleton height={12} width={140} /></div>
          <div className="stack" style={{ padding: 14 }}>{Array.from({ length: 5 }, (_, k) => <Skeleton key={k} height={10} width={`${50 + ((k * 19) % 40)}%`} />)}</div>
        </div>
      ))}
    </div>
  );
}

function Section({ title, device, values, prefixes, children }: { title: string; device: DeviceDetail; values: Values; prefixes: string[]; children: ReactNode }) {
  const found = evidence(values, prefixes);
  const old = useStale(found?.at, STALE_MS);
  // What a device that is gone said last may no longer be so.
  const stale = old || device.presence.word === 'offline';
  return (
    <section className={classes.section} aria-label={title}>
      <div className={classes.head}>
        <h2>{title}</h2>
        <span className="dim small nowrap">{found ? <>{t.device.overview.readBy(found.source)} <Ago at={found.at} />{found.oldest ? <>, {t.device.overview.oldest} <Ago at={found.oldest} /></> : null}</> : null}</span>
        <ReadNow device={device.id} paths={prefixes} name={title} />
      </div>
      <div className={classes.body} data-stale={stale || undefined}>{children}</div>
    </section>
  );
}

/** How long the device is up by now, or was when it was heard last; whether that is so short that it may still be settling. */
function useUpFor(device: DeviceDetail, values: Values): { words: string | undefined; recent: boolean } {
  const since = upSince(values, device.last_boot_at);
  const heard = isHere(device) ? undefined : parseTime(device.presence.evidence_at);
  const upFor = (now: number) => (since === undefined ? undefined : Math.max(1000, (heard ?? now) - since));
  const words = useClock((now) => {
    const up = upFor(now);
    return up === undefined ? undefined : duration(up);
  });
  const recent = useClock((now) => (upFor(now) ?? RECENT_BOOT_MS) < RECENT_BOOT_MS);
  return { words, recent };
}

const isHere = (device: DeviceDetail) => device.presence.word === 'online' || device.presence.word === 'silent';

/** What one wants to know first, each with a state: the Internet, the Wi-Fi, who is there, how long it is up. */
function Glance({ device, values }: { device: DeviceDetail; values: Values }) {
  const o = t.device.overview;
  const here = isHere(device);
  const internet = ipInterfaces(values).filter((one) => one.side === 'internet');
  const networks = wifiNetworks(values);
  const on = networks.filter((one) => one.enabled && (one.status === undefined || one.status === 'Up'));
  const known = hosts(values);
  const there = known.filter((host) => host.active).length;
  const up = useUpFor(device, values);
  const connected = internet.find((one) => one.status === 'Up');
  const items: [string, Tone, string][] = [];
  if (internet.length > 0) items.push([o.glance.internet, connected ? 'ok' : 'bad', connected ? [o.up, connected.addresses[0]].filter(Boolean).join(', ') : o.down]);
  if (networks.length > 0) items.push([o.glance.wifi, on.length === networks.length ? 'ok' : on.length > 0 ? 'warn' : 'idle', o.glance.wifiOn(on.length, networks.length)]);
  if (values.has('Device.Hosts.HostNumberOfEntries') || known.length > 0) items.push([o.glance.hosts, there > 0 ? 'ok' : 'idle', o.glance.connected(there)]);
  if (up.words !== undefined) items.push([o.facts.uptime, up.recent ? 'warn' : 'ok', up.words]);
  if (device.last_boot_at) items.push([o.glance.boot, 'idle', '']);
  if (items.length === 0) return null;
  return (
    <dl className={classes.glance} aria-label={o.glance.label} data-stale={!here || undefined}>
      {items.map(([name, tone, words]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd><State tone={here ? tone : 'idle'}>{name === o.glance.boot ? <Ago at={device.last_boot_at} /> : words}</State></dd>
        </div>
      ))}
      {here ? null : <div><dt>{o.glance.asOf}</dt><dd><Ago at={device.presence.evidence_at} /></dd></div>}
    </dl>
  );
}

function About({ device, values }: { device: DeviceDetail; values: Values }) {
  const f = t.device.overview.facts;
  const info = 'Device.DeviceInfo.';
  const total = number(values, `${info}MemoryStatus.Total`);
  const free = number(values, `${info}MemoryStatus.Free`);
  const cpu = number(values, `${info}ProcessStatus.CPUUsage`);
  const up = useUpFor(device, values);
  const temperature = rowsOf(values, `${info}TemperatureStatus.TemperatureSensor.`).map((row) => number(values, `${row}Value`)).find((n) => n !== undefined);
  const facts: [string, ReactNode][] = [
    [f.manufacturer, text(values, `${info}Manufacturer`) ?? device.manufacturer],
    [f.model, text(values, `${info}ModelName`) ?? device.model],
    [f.serial, device.serial ? <span className="mono">{device.serial}</span> : undefined],
    [f.hardware, text(values, `${info}HardwareVersion`) ?? device.hardware_version],
    [f.software, text(values, `${info}SoftwareVersion`) ?? device.software_version],
    [f.uptime, up.words],
    [
      f.memory,
      total === undefined || free === undefined || total === 0
        ? undefined
        : t.device.overview.memoryWords(bytes((total - free) * 1024) ?? '', bytes(total * 1024) ?? '', Math.round(((total - free) / total) * 100)),
    ],
    [f.cpu, cpu === undefined ? undefined : `${cpu} %`],
    [f.temperature, temperature === undefined ? undefined : `${temperature} °C`],
    [f.host, text(values, `${info}HostName`)],
    [f.time, clockWords(values)],
    [f.protocol, protocolWords(device)],
    [f.admission, device.admission.words],
    [f.registered, <Ago key="r" at={device.created_at} />],
  ];
  // The clock is shown here, and is read on its own.
  const clock = 'Device.Time.CurrentLocalTime';
  const shown = values.has(clock) ? [info, clock] : [info];
  return (
    <Section title={t.device.overview.device} device={device} values={values} prefixes={shown}>
      <dl className={classes.facts}>
        {facts.filter(([, value]) => value !== undefined && value !== null).map(([name, value]) => (
          <div key={name}><dt>{name}</dt><dd className="wrap">{value}</dd></div>
        ))}
      </dl>
    </Section>
  );
}

/** A clock that differs less from ours is right. */
const CLOCK_RIGHT_MS = 60_000;

/** The clock of the device, and how far it is off at the moment it was read. */
function clockWords(values: Values): string | undefined {
  const read = values.get('Device.Time.CurrentLocalTime');
  const time = read ? timeValue(read.value) : undefined;
  if (!read || read.value === '') return undefined;
  if (time?.at === undefined) return time?.words ?? read.value;
  const off = time.at - (parseTime(read.at) ?? time.at);
  const o = t.device.overview;
  const drift = Math.abs(off) < CLOCK_RIGHT_MS ? o.clockRight : off < 0 ? o.clockBehind(duration(-off)) : o.clockAhead(duration(off));
  return `${time.words}, ${drift}`;
}

function Wifi({ device, values, staging }: { device: DeviceDetail; values: Values; staging: Staging }) {
  const c = t.device.overview.wifiColumns;
  const networks = wifiNetworks(values);
  const mayNot = useMay('operation:run');
  if (networks.length === 0) return null;
  return (
    <Section title={t.device.overview.wifi} device={device} values={values} prefixes={['Device.WiFi.']}>
      <Table head={[c.ssid, c.band, c.channel, c.security, c.password, c.on, c.state, c.clients]} ends={[2, 7]}>
        {networks.map((network) => {
          const key = network.accessPoint ? `${network.accessPoint}Security.KeyPassphrase` : undefined;
          const on = values.get(`${network.path}Enable`)?.value;
          return (
            <tr key={network.path}>
              <td><Editable path={`${network.path}SSID`} name={c.ssid} value={network.ssid} type={types.ssid} staging={staging} readOnly={mayNot} /></td>
              <td>{network.band ?? '-'}</td>
              <td className={classes.end}>{network.channel ?? '-'}</td>
              <td>{network.security ?? '-'}</td>
              <td>{key ? <Editable path={key} name={`${c.password} ${network.ssid ?? ''}`} value={values.get(key)?.value} type={types.key} secret staging={staging} readOnly={mayNot} /> : '-'}</td>
              <td>
                <Editable path={`${network.path}Enable`} name={`${network.ssid ?? ''} ${c.on}`} value={on} shown={network.enabled === undefined ? undefined : network.enabled ? t.device.overview.on : t.device.overview.off} type={types.on} staging={staging} readOnly={mayNot} />
              </td>
              <td><LinkState status={network.status} /></td>
              <td className={classes.end}>{network.clients ?? '-'}</td>
            </tr>
          );
        })}
      </Table>
    </Section>
  );
}

/** The status word of an interface. */
function LinkState({ status }: { status: string | undefined }) {
  if (status === undefined) return <span className="dim">-</span>;
  if (status === 'Up') return <State tone="ok">{t.device.overview.up}</State>;
  if (status === 'Down') return <State tone="idle">{t.device.overview.down}</State>;
  return <State tone={status === 'Error' || status === 'LowerLayerDown' ? 'bad' : 'idle'}>{status}</State>;
}

function Hosts({ device, values }: { device: DeviceDetail; values: Values }) {
  const c = t.device.overview.hostColumns;
  const all = hosts(values);
  if (all.length === 0) return null;
  return (
    <Section title={t.device.overview.hosts} device={device} values={values} prefixes={['Device.Hosts.']}>
      <Table head={[c.name, c.address, c.mac, c.link, c.signal, c.active]} ends={[4]}>
        {all.slice(0, HOSTS_SHOWN).map((host) => (
          <tr key={host.path}>
            <td>{host.name ?? <span className="dim">{t.common.unknown}</span>}</td>
            <td className="mono">{host.address ?? '-'}</td>
            <td className="mono">{host.mac ?? '-'}</td>
            <td>{host.link ?? '-'}</td>
            <td className={classes.end}>{host.signal ?? '-'}</td>
            <td>{host.active === undefined ? '-' : host.active ? <State tone="ok">{t.device.overview.connected}</State> : <State tone="idle">{t.device.overview.gone}</State>}</td>
          </tr>
        ))}
      </Table>
      {all.length > HOSTS_SHOWN ? (
        <p className="dim small" style={{ padding: '6px 14px' }}>
          <Link to="/devices/$deviceId" params={{ deviceId: device.id }} search={{ tab: 'model', path: 'Device.Hosts.Host.' }}>{t.device.overview.more(all.length - HOSTS_SHOWN)}</Link>
        </p>
      ) : null}
    </Section>
  );
}

function Network({ device, values }: { device: DeviceDetail; values: Values }) {
  const c = t.device.overview.ipColumns;
  const rows = ipInterfaces(values);
  if (rows.length === 0) return null;
  return (
    <Section title={t.device.overview.network} device={device} values={values} prefixes={['Device.IP.']}>
      <Table head={[c.name, c.side, c.state, c.address, c.how, c.received, c.sent]} ends={[5, 6]}>
        {rows.map((row) => (
          <tr key={row.path}>
            <td>{row.name ?? row.path}</td>
            <td>{row.side ? t.device.overview.sides[row.side] : <span className="dim">{t.common.unknown}</span>}</td>
            <td><LinkState status={row.status} /></td>
            <td className="mono wrap">{row.addresses.join(', ') || '-'}</td>
            <td>{row.how ?? '-'}</td>
            <td className={classes.end}>{bytes(row.received) ?? '-'}</td>
            <td className={classes.end}>{bytes(row.sent) ?? '-'}</td>
          </tr>
        ))}
      </Table>
    </Section>
  );
}

/** What an interface of a cellular device says, as far as it says it. */
const cellularFacts: [string, string, string?][] = [
  ['Status', 'Status'],
  ['CurrentAccessTechnology', 'Technology'],
  ['NetworkInUse', 'Network'],
  ['RSRP', 'RSRP', 'dBm'],
  ['RSRQ', 'RSRQ', 'dB'],
  ['RSSI', 'RSSI', 'dBm'],
  ['SNR', 'SNR', 'dB'],
  ['IMEI', 'IMEI'],
  ['UpstreamMaxBitRate', 'Up to', 'kbit/s'],
  ['DownstreamMaxBitRate', 'Down to', 'kbit/s'],
];

function Cellular({ device, values }: { device: DeviceDetail; values: Values }) {
  const rows = rowsOf(values, 'Device.Cellular.Interface.');
  if (rows.length === 0) return null;
  return (
    <Section title={t.device.overview.cellular} device={device} values={values} prefixes={['Device.Cellular.']}>
      {rows.map((row) => (
        <dl key={row} className={classes.facts}>
          {cellularFacts.flatMap(([name, label, unit]) => {
            const value = text(values, `${row}${name}`);
            return value === undefined ? [] : [<div key={name}><dt>{label}</dt><dd className="wrap">{value}{unit ? ` ${unit}` : ''}</dd></div>];
          })}
        </dl>
      ))}
    </Section>
  );
}

function Radios({ device, values }: { device: DeviceDetail; values: Values }) {
  const c = t.device.overview.radioColumns;
  const rows = rowsOf(values, 'Device.WiFi.Radio.');
  if (rows.length === 0) return null;
  return (
    <Section title={t.device.overview.radios} device={device} values={values} prefixes={['Device.WiFi.Radio.']}>
      <Table head={[c.name, c.band, c.channel, c.width, c.power, c.standards, c.state]} ends={[2, 4]}>
        {rows.map((row) => (
          <tr key={row}>
            <td>{text(values, `${row}Name`) ?? text(values, `${row}Alias`) ?? row}</td>
            <td>{text(values, `${row}OperatingFrequencyBand`) ?? '-'}</td>
            <td className={classes.end}>
              {text(values, `${row}Channel`) ?? '-'}{flag(values, `${row}AutoChannelEnable`) ? <span className="dim"> {t.device.overview.auto}</span> : null}
            </td>
            <td>{text(values, `${row}OperatingChannelBandwidth`) ?? text(values, `${row}CurrentOperatingChannelBandwidth`) ?? '-'}</td>
            <td className={classes.end}>{text(values, `${row}TransmitPower`) ?? '-'}</td>
            <td>{text(values, `${row}OperatingStandards`) ?? '-'}</td>
            <td><LinkState status={text(values, `${row}Status`)} /></td>
          </tr>
        ))}
      </Table>
    </Section>
  );
}

function Ports({ device, values }: { device: DeviceDetail; values: Values }) {
  const c = t.device.overview.portColumns;
  const rows = rowsOf(values, 'Device.Ethernet.Interface.');
  if (rows.length === 0) return null;
  return (
    <Section title={t.device.overview.ports} device={device} values={values} prefixes={['Device.Ethernet.']}>
      <Table head={[c.name, c.state, c.speed, c.mac, c.received, c.sent]} ends={[2, 4, 5]}>
        {rows.map((row) => {
          const speed = text(values, `${row}CurrentBitRate`) ?? text(values, `${row}MaxBitRate`);
          return (
            <tr key={row}>
              <td>{text(values, `${row}Name`) ?? text(values, `${row}Alias`) ?? row}</td>
              <td><LinkState status={text(values, `${row}Status`)} /></td>
              <td className={classes.end}>{speed === '-1' ? t.device.overview.auto : (speed ?? '-')}</td>
              <td className="mono">{text(values, `${row}MACAddress`) ?? '-'}</td>
              <td className={classes.end}>{bytes(number(values, `${row}Stats.BytesReceived`)) ?? '-'}</td>
              <td className={classes.end}>{bytes(number(values, `${row}Stats.BytesSent`)) ?? '-'}</td>
            </tr>
          );
        })}
      </Table>
    </Section>
  );
}

function Table({ head, ends, children }: { head: string[]; ends: number[]; children: ReactNode }) {
  return (
    <table className={classes.table}>
      <thead><tr>{head.map((name, i) => <th key={name} scope="col" className={ends.includes(i) ? classes.end : undefined}>{name}</th>)}</tr></thead>
      <tbody>{children}</tbody>
    </table>
  );
}

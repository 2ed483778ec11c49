// Why this device can or cannot be talked to: the verdict, each way to it, the last attempts, what to do.
import { Skeleton } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState, type ReactNode } from 'react';
import { reachQuery, type DeviceDetail, type Reach } from '~/api/devices';
import { useMay } from '~/api/session';
import { ActionButton } from '~/components/action-button';
import { Copyable } from '~/components/copy';
import { Icon } from '~/components/icon';
import { Failure, Note } from '~/components/notice';
import { Evidence, Expected, PresenceState } from '~/components/presence';
import { RefusalTable } from '~/components/refusals';
import { State } from '~/components/state';
import { Ago } from '~/components/time';
import { t } from '~/text';
import { DeviceCertificates } from './certificates';
import { Split } from './merge';
import { useWake } from './wake';
import { WakeCredential } from './wake-credential';
import { ways } from './ways';
import classes from './overview.module.css';

export function ReachPanel({ device }: { device: DeviceDetail }) {
  const r = t.device.reach;
  const reach = useQuery(reachQuery(device.id));
  const wake = useWake(device.id);
  const mayNot = useMay('operation:run');
  const mayWrite = useMay('device:write');
  const [splitting, setSplitting] = useState<string>();
  if (reach.error && !reach.data) return <div style={{ padding: 16 }}><Failure error={reach.error} retry={() => void reach.refetch()} /></div>;
  if (!reach.data) return <div className={classes.sections} aria-busy="true"><Skeleton height={90} /><Skeleton height={140} /></div>;
  const data = reach.data;
  return (
    <div className={classes.sections}>
      <section className={classes.section} aria-label={r.title}>
        <div className={classes.head}>
          <h2>{r.title}</h2>
          <ActionButton
            size="compact-sm"
            leftSection={<Icon name="play" size={13} />}
            loading={wake.busy}
            disabledReason={mayNot ?? (data.wake.possible ? undefined : `${r.wakeImpossible}: ${data.wake.words}`)}
            hint={data.wake.words}
            onClick={wake.start}
          >
            {t.device.wake}
          </ActionButton>
        </div>
        <div className="stack" style={{ padding: '12px 14px' }}>
          <div className="row wrapped">
            <PresenceState presence={data.presence} strong />
            {data.presence.since ? <span className="dim">{r.since} <Ago at={data.presence.since} /></span> : null}
            <Evidence presence={data.presence} />
            <Expected presence={data.presence} />
          </div>
          {data.likely_reason ? <Note tone="warn"><strong>{r.likely}: </strong>{data.likely_reason}{data.advice ? <div>{r.advice}: {data.advice}</div> : null}</Note> : null}
          <div className="row wrapped">
            <span className="dim">{r.admission}:</span> <span className="wrap">{device.admission.words}</span>
            {device.admission.readmit_until ? <span className="dim">{r.admissionUntil} <Ago at={device.admission.readmit_until} /></span> : null}
          </div>
        </div>
      </section>
      <section className={classes.section} aria-label={r.paths}>
        <div className={classes.head}><h2>{r.paths}</h2></div>
        {data.paths.length === 0 ? <p className="dim" style={{ padding: 14 }}>{r.noPaths}</p> : null}
        {usedFirst(data.paths).map((path) => <Path key={path.id} device={device} path={path} credential={path.protocol === 'cwmp' ? data.wake_credential ?? undefined : undefined} onSplit={data.paths.length > 1 ? () => setSplitting(path.transport.split(',')[0] ?? path.transport) : undefined} mayNot={mayWrite} />)}
        {splitting ? <Split device={device} transport={splitting} onClose={() => setSplitting(undefined)} /> : null}
      </section>
      <section className={classes.section} aria-label={r.identities}>
        <div className={classes.head}><h2>{r.identities}</h2></div>
        <table className={classes.table}>
          <tbody>
            {device.identities.map((one) => (
              <tr key={`${one.kind} ${one.value}`}>
                <td className="dim">{r.identityKinds[one.kind] ?? one.kind}</td>
                <td><Copyable value={one.shown} label={r.identityKinds[one.kind] ?? one.kind} /></td>
                <td className="dim">{r.identitySource(one.source)}</td>
                <td><Ago at={one.at} /></td>
              </tr>
            ))}
          </tbody>
        </table>
      </section>
      <DeviceCertificates device={device} />
      <section className={classes.section} aria-label={r.refusals}>
        <div className={classes.head}><h2>{r.refusals}</h2></div>
        {data.refusals.length === 0 ? <p className="dim" style={{ padding: 14 }}>{r.noRefusals}</p> : <RefusalTable refusals={data.refusals} />}
      </section>
    </div>
  );
}

/** The way that is in use, then what stands by for it, then the rest. */
const usedFirst = (paths: Reach['paths']) => [...paths].sort((a, b) => Number(b.used ?? false) - Number(a.used ?? false) || Number(b.connected) - Number(a.connected));

function Path({ device, path, credential, onSplit, mayNot }: { device: DeviceDetail; path: Reach['paths'][number]; credential: Reach['wake_credential']; onSplit: (() => void) | undefined; mayNot: string | undefined }) {
  const r = t.device.reach;
  // Such a path is open until the device need not come again.
  const visits = path.protocol === 'cwmp';
  const facts: [string, ReactNode][] = [
    [r.identity, <Copyable key="i" value={path.identity} label={r.identity} />],
    [visits ? r.comesSince : r.connectedSince, path.connected && path.connected_since ? <Ago key="c" at={path.connected_since} /> : undefined],
    [r.closedAt, !path.connected && path.disconnected_at ? <Ago key="d" at={path.disconnected_at} /> : undefined],
    [r.reason, path.connected ? undefined : path.disconnect_reason || undefined],
    [r.peer, path.peer ? <span key="p" className="mono">{path.peer}</span> : undefined],
    [r.tls, path.tls == null ? (path.peer ? r.tlsUnknown : undefined) : path.tls ? t.common.yes : t.common.no],
    [r.requests, path.choice ?? undefined],
    [r.sessionContext, path.session_context ? r.sessionContextIs(path.session_context) : undefined],
    [r.credential, path.credential ?? undefined],
    [r.lastSign, path.evidence_at ? <span key="e"><Ago at={path.evidence_at} />{path.evidence_source ? `, ${path.evidence_source}` : ''}</span> : undefined],
    [r.expectedBy, path.expected_by ? <Ago key="x" at={path.expected_by} /> : undefined],
  ];
  return (
    <div style={{ borderBottom: '1px solid var(--line)' }}>
      <div className="row" style={{ padding: '8px 14px 0' }}>
        <strong>{r.over(path.protocol, path.transport)}</strong>
        {path.connected ? <State tone="ok">{visits ? r.between : r.connected}</State> : <State tone="bad">{visits ? r.overdue : r.closed}</State>}
        {path.used == null ? null : <State tone={path.used ? 'ok' : 'waiting'}>{path.used ? r.used : r.standby}</State>}
        <span className="grow" />
        {onSplit ? <ActionButton size="compact-xs" disabledReason={mayNot} onClick={onSplit}>{t.matches.split}</ActionButton> : null}
      </div>
      <dl className={classes.facts}>
        {facts.filter(([, value]) => value !== undefined).map(([name, value]) => <div key={name}><dt>{name}</dt><dd className="wrap">{value}</dd></div>)}
      </dl>
      {path.quirk_packs?.length ? <QuirkPacks packs={path.quirk_packs} /> : null}
      <Ways path={path} />
      {credential ? <WakeCredential device={device} credential={credential} mayNot={mayNot} /> : null}
      {path.attempts.length > 0 ? (
        <div style={{ padding: '4px 14px 12px' }}>
          <h3 className="dim">{r.attempts}</h3>
          <ul style={{ margin: 0, padding: 0, listStyle: 'none' }}>
            {path.attempts.map((attempt) => (
              <li key={`${attempt.at} ${attempt.method}`} className="row">
                <State tone={attempt.ok ? 'ok' : 'bad'}>{attempt.ok ? r.attemptOk : r.attemptFailed}</State>
                <span className="nowrap">{r.methods[attempt.method] ?? attempt.method}</span>
                <Ago at={attempt.at} />
                <span className="wrap grow">{attempt.words}{attempt.address && attempt.address !== path.dial_url ? <span className="mono dim"> {attempt.address}</span> : null}</span>
                <span className="dim num nowrap">{r.took(attempt.took_ms)}</span>
              </li>
            ))}
          </ul>
        </div>
      ) : null}
    </div>
  );
}

/** What was known of how to talk with devices of its kind, and from where. */
function QuirkPacks({ packs }: { packs: NonNullable<Reach['paths'][number]['quirk_packs']> }) {
  const q = t.device.reach.quirks;
  return (
    <div style={{ padding: '4px 14px 12px' }}>
      <h3 className="dim">{q.title}</h3>
      <ul style={{ margin: 0, padding: 0, listStyle: 'none' }} aria-label={q.title}>
        {packs.map((pack) => (
          <li key={pack.name}>
            <div className="row wrapped">
              <strong>{pack.name}</strong>
              <span className="mono">{pack.says.join(', ')}</span>
              <span className="dim">{pack.shipped ? q.shipped : q.own}{pack.confidence ? `, ${q.confidence[pack.confidence] ?? pack.confidence}` : ''}</span>
            </div>
            <div className="wrap">{pack.why}{pack.source.map((link, n) => <span key={link}> <a href={/^https?:/.test(link) ? link : undefined} target="_blank" rel="noreferrer">{q.source(n + 1)}</a></span>)}</div>
          </li>
        ))}
      </ul>
    </div>
  );
}

/** The ways in which we can turn to it: which it has, which was tried last, and with what result. */
function Ways({ path }: { path: Reach['paths'][number] }) {
  const r = t.device.reach;
  const all = ways(path);
  if (all.length === 0) return <p className="dim" style={{ padding: '0 14px 12px' }}>{r.noWays}</p>;
  return (
    <div className={classes.body}>
      <table className={classes.table} aria-label={r.reachBy}>
        <thead><tr><th scope="col">{r.reachBy}</th><th scope="col">{r.wayTo}</th><th scope="col">{r.lastTried}</th><th scope="col">{r.result}</th></tr></thead>
        <tbody>
          {all.map((way) => (
            <tr key={`${way.method} ${way.address ?? ''}`}>
              <td className="nowrap">{way.known ? r.methods[way.method] ?? way.method : <span className="dim">{r.methods[way.method] ?? way.method}</span>}</td>
              <td className={classes.address}>{way.address ? <span className={way.problem ? 'mono dim' : 'mono'}>{way.address}</span> : <span className="dim">{way.known ? '-' : r.notTold}</span>}</td>
              <td>{way.last ? <Ago at={way.last.at} /> : <span className="dim nowrap">{way.method === 'link' ? '-' : t.common.never}</span>}</td>
              <td className={classes.result}>{way.method === 'link' ? <State tone="ok">{r.connected}</State> : way.problem ? <span className="row"><State tone="bad">{r.unusable}</State> {way.problem}</span> : way.last ? <span className="row"><State tone={way.last.ok ? 'ok' : 'bad'}>{way.last.ok ? r.attemptOk : r.attemptFailed}</State> {way.last.words}</span> : <span className="dim">-</span>}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

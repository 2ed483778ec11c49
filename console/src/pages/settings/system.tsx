// The installation: version, listeners, limits with their reasons.
import { Skeleton } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { systemQuery } from '~/api/admin';
import { Copyable } from '~/components/copy';
import { Failure } from '~/components/notice';
import table from '~/components/plain-table.module.css';
import { State } from '~/components/state';
import { Ago } from '~/components/time';
import { t } from '~/text';
import { Facts, SettingsFrame } from './frame';
import classes from './settings.module.css';

export function SystemPage() {
  const s = t.settings.systemPage;
  const query = useQuery(systemQuery);
  if (query.error) return <Failure error={query.error} retry={() => void query.refetch()} />;
  const data = query.data;
  return (
    <SettingsFrame title={t.settings.system}>
      {data ? (
        <>
          <Facts
            facts={[
              [s.version, data.version],
              [s.started, <Ago key="s" at={data.started_at} />],
              [s.endpoint, <Copyable key="e" value={data.endpoint_id} label={s.endpoint} />],
              [s.database, data.database],
              [s.connections, data.connections ?? undefined],
              [s.quiet, s.seconds(data.presence_silent_seconds)],
              [s.api, <a key="a" href="/api/v1/openapi.json">/api/v1/openapi.json</a>],
            ]}
          />
          <section className="stack" aria-label={s.listeners}>
            <h2>{s.listeners}</h2>
            <div className={classes.box}>
              <table className={table.table}>
                <thead><tr>{Object.values(s.listenerColumns).map((name) => <th key={name} scope="col">{name}</th>)}</tr></thead>
                <tbody>
                  {data.listeners.map((one) => (
                    <tr key={one.address}><td>{one.purpose}</td><td>{one.protocol}</td><td className="mono">{one.address}</td><td><Copyable value={one.url} label={one.url} /></td></tr>
                  ))}
                </tbody>
              </table>
            </div>
          </section>
          {data.brokers.length > 0 && (
            <section className="stack" aria-label={s.brokers}>
              <h2>{s.brokers}</h2>
              <div className={classes.box}>
                <table className={table.table}>
                  <thead><tr>{Object.entries(s.brokerColumns).map(([key, name]) => <th key={key} scope="col" className={key === 'devices' ? table.end : undefined}>{name}</th>)}</tr></thead>
                  <tbody>
                    {data.brokers.map((one) => (
                      <tr key={one.name}>
                        <td>{one.name}</td><td className="mono">{one.url}</td>
                        <td><State tone={one.connected ? 'ok' : 'bad'}>{one.connected ? s.brokerConnected : s.brokerLost}</State> <span className="dim"><Ago at={one.since} /></span></td>
                        <td className={table.end}>{one.devices?.toLocaleString('en') ?? ''}</td>
                        <td className="wrap dim">{one.last_error ?? ''}</td>
                      </tr>
                    ))}
                  </tbody>
                </table>
              </div>
            </section>
          )}
          <section className="stack" aria-label={s.limits}>
            <h2>{s.limits}</h2>
            <div className={classes.box}>
              <table className={table.table}>
                <thead><tr><th scope="col">{s.limitColumns.name}</th><th scope="col" className={table.end}>{s.limitColumns.value}</th><th scope="col">{s.limitColumns.reason}</th></tr></thead>
                <tbody>
                  {data.limits.map((one) => <tr key={one.name}><td className="mono">{one.name}</td><td className={table.end}>{one.value.toLocaleString('en')}</td><td className="wrap dim">{one.reason}</td></tr>)}
                </tbody>
              </table>
            </div>
          </section>
        </>
      ) : (
        <div className="stack" aria-busy="true"><Skeleton height={14} width={300} /><Skeleton height={14} width={340} /><Skeleton height={120} /></div>
      )}
    </SettingsFrame>
  );
}

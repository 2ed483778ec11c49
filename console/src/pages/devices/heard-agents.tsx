// Agents that were heard on the server's own network: one click fills in where to dial.
import { Button } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { lanAgentsQuery, type LanAgent } from '~/api/discovery';
import tables from '~/components/plain-table.module.css';
import { Failure } from '~/components/notice';
import { Ago } from '~/components/time';
import { t } from '~/text';

export function HeardAgents({ onUse }: { onUse: (agent: LanAgent) => void }) {
  const d = t.addDevice.heard;
  const { data, error } = useQuery(lanAgentsQuery);
  if (error) return <Failure error={error} what={d.title} />;
  if (!data) return null;
  if (!data.looking) return <p className="dim small">{d.off}</p>;
  const trouble = data.networks.filter((one) => one.trouble);
  return (
    <section className="stack tight" aria-label={d.title}>
      <strong>{d.title}</strong>
      {trouble.map((one) => <p key={one.name} className="small wrap">{d.trouble(one.name, one.trouble ?? '')}</p>)}
      {data.items.length === 0 ? <p className="dim small">{data.networks.length > 0 ? d.none(data.networks.map((one) => one.name).join(', ')) : d.nowhere}</p> : (
        <>
          <p className="dim small">{d.unproven}</p>
          <div style={{ maxHeight: 220, overflow: 'auto' }}>
            <table className={tables.table}>
              <thead><tr><th scope="col">{d.endpoint}</th><th scope="col">{d.place}</th><th scope="col">{d.since}</th><th scope="col" /></tr></thead>
              <tbody>
                {data.items.map((one) => (
                  <tr key={`${one.network} ${one.transport} ${one.endpoint_id}`}>
                    <td className="mono wrap">{one.endpoint_id}{one.name ? <div className="dim small">{one.name}</div> : null}</td>
                    <td className="mono wrap">{one.url ?? one.addresses.join(', ')}<div className="dim small">{one.network}</div></td>
                    <td><Ago at={one.since} /></td>
                    <td className={tables.end}><Choice agent={one} onUse={onUse} /></td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
          {data.more > 0 ? <p className="dim small">{d.more(data.more)}</p> : null}
        </>
      )}
    </section>
  );
}

function Choice({ agent, onUse }: { agent: LanAgent; onUse: (agent: LanAgent) => void }) {
  const d = t.addDevice.heard;
  if (agent.device_id) return <Link to="/devices/$deviceId" params={{ deviceId: agent.device_id }}>{d.known}</Link>;
  if (!agent.url) return <span className="dim small nowrap">{d.broker}</span>;
  return <Button size="compact-sm" onClick={() => onUse(agent)} aria-label={d.useLabel(agent.endpoint_id)}>{d.use}</Button>;
}

// Connections that were turned away: who, why, how often, what to do.
import { Link } from '@tanstack/react-router';
import type { Refusal } from '~/api/admin';
import { t } from '~/text';
import { Ago } from './time';
import classes from './plain-table.module.css';

export function RefusalTable({ refusals }: { refusals: Refusal[] }) {
  const c = t.doctor.columns;
  return (
    <table className={classes.table}>
      <thead><tr><th scope="col">{c.at}</th><th scope="col">{c.peer}</th><th scope="col">{c.endpoint}</th><th scope="col">{c.reason}</th><th scope="col" className={classes.end}>{c.count}</th></tr></thead>
      <tbody>
        {refusals.map((one) => (
          <tr key={one.id}>
            <td><Ago at={one.at} /></td>
            <td className="mono nowrap">{one.peer}<div className="dim small">{one.transport}</div></td>
            <td className="mono wrap">
              {one.endpoint_id ? (one.device_id ? <Link to="/devices/$deviceId" params={{ deviceId: one.device_id }} search={{ tab: 'reach' }}>{one.endpoint_id}</Link> : one.endpoint_id) : <span className="dim">{t.doctor.noEndpoint}</span>}
            </td>
            <td className="wrap">{one.words}{one.detail && !one.words.toLowerCase().includes(one.detail.toLowerCase()) ? <div className="dim small">{one.detail}</div> : null}<div className="dim small mono">{one.reason}</div></td>
            <td className={classes.end}>{one.count}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

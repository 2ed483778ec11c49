// The last files on their way to and from a device: how far, and what came of it.
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import type { DeviceDetail } from '~/api/devices';
import { transfersQuery } from '~/api/files';
import { Failure } from '~/components/notice';
import { TransferView } from '~/components/transfer-view';
import { t } from '~/text';
import classes from './overview.module.css';

/** How often one that goes on is looked at. */
const PROGRESS_MS = 1500;

/** `open` shows the list while one of them is not over, else only when all are: so that it stands first while it matters. */
export function Transfers({ device, open }: { device: DeviceDetail; open: boolean }) {
  const list = useQuery({ ...transfersQuery(device.id), refetchInterval: (query) => (query.state.data?.items.some((one) => one.finished_at == null) ? PROGRESS_MS : false) });
  if (list.error && !list.data) return open ? null : <Failure error={list.error} retry={() => void list.refetch()} />;
  const items = list.data?.items ?? [];
  if (items.length === 0 || open !== items.some((one) => one.finished_at == null)) return null;
  return (
    <section className={classes.section} aria-label={t.transfer.last}>
      <div className={classes.head}>
        <h2>{t.transfer.last}</h2>
        {list.data?.next ? <Link className="small" to="/devices/$deviceId" params={{ deviceId: device.id }} search={{ tab: 'operations' }}>{t.transfer.older}</Link> : null}
      </div>
      <ul className={classes.transfers}>
        {items.map((one) => (
          <li key={one.id}>
            <TransferView transfer={one} operation />
          </li>
        ))}
      </ul>
    </section>
  );
}

// Changes that are staged for a device whose page is not open: a way back to each, so that none is forgotten.
import { useQuery } from '@tanstack/react-query';
import { Link, useRouterState } from '@tanstack/react-router';
import { deviceQuery } from '~/api/devices';
import { stagedCount, useStagedDevices } from '~/pages/device/staging';
import { t } from '~/text';
import classes from './shell.module.css';

export function StagedElsewhere() {
  const pathname = useRouterState({ select: (state) => state.location.pathname });
  const [first, ...rest] = useStagedDevices().filter((id) => pathname !== `/devices/${id}`);
  const device = useQuery({ ...deviceQuery(first ?? ''), enabled: first !== undefined, staleTime: 60_000 });
  // One of another tenant waits until its tenant is chosen again.
  if (first === undefined || !device.data) return null;
  return (
    <Link to="/devices/$deviceId" params={{ deviceId: first }} className={classes.staged}>
      {t.frame.staged(stagedCount(first), device.data.name, rest.length)}
    </Link>
  );
}

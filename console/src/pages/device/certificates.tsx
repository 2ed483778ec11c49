// The certificates of one device, for those who may see them, and giving it a new one.
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { certificatesQuery, rotateCertificate } from '~/api/certificates';
import type { DeviceDetail } from '~/api/devices';
import { useMay } from '~/api/session';
import { ActionButton } from '~/components/action-button';
import { Certificates } from '~/components/certificates';
import { Failure, Note } from '~/components/notice';
import { t } from '~/text';
import classes from './overview.module.css';

export function DeviceCertificates({ device }: { device: DeviceDetail }) {
  const k = t.settings.certificatesPage;
  const mayNot = useMay('certificate:read');
  const mayNotRotate = useMay('certificate:write');
  const queries = useQueryClient();
  const query = useQuery({ ...certificatesQuery({ device: device.id }), enabled: mayNot === undefined });
  const rotate = useMutation({
    mutationFn: () => rotateCertificate(device.id),
    onSuccess: () => void queries.invalidateQueries(),
  });
  if (mayNot !== undefined || query.data?.items.length === 0) return null;
  const valid = query.data?.items.some((one) => one.state === 'valid') ?? false;
  return (
    <section className={classes.section} aria-label={t.settings.certificates}>
      <div className={classes.head}>
        <h2>{t.settings.certificates}</h2>
        <ActionButton size="compact-sm" loading={rotate.isPending} disabledReason={mayNotRotate ?? (valid ? undefined : k.nothingToRotate)} hint={k.rotateHint} onClick={() => rotate.mutate()}>{k.rotate}</ActionButton>
      </div>
      {rotate.error ? <div style={{ padding: 14 }}><Failure error={rotate.error} /></div> : null}
      {rotate.data ? <div style={{ padding: 14 }}><Note action={<Link to="/operations/$operationId" params={{ operationId: rotate.data.operation.id }}>{k.toOperation}</Link>}>{k.rotated}</Note></div> : null}
      <Certificates query={query} empty={null} />
    </section>
  );
}

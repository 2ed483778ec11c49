// Certificates of devices as a table, and the question before one is revoked.
import { TextInput } from '~/components/mantine/text-input';
import { useMutation, useQueryClient, type UseQueryResult } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useState, type ReactNode } from 'react';
import { revokeCertificate, type Certificate } from '~/api/certificates';
import { useMay } from '~/api/session';
import { ActionButton } from '~/components/action-button';
import { Confirm } from '~/components/confirm';
import { State } from '~/components/state';
import { Ago } from '~/components/time';
import { actorName } from '~/lib/actor';
import { ListTable } from '~/pages/settings/frame';
import { t } from '~/text';

const tones = { valid: 'ok', expired: 'idle', revoked: 'bad' } as const;

export function Certificates({ query, empty, withDevice }: { query: UseQueryResult<{ items: Certificate[] }>; empty: ReactNode; withDevice?: boolean }) {
  const k = t.settings.certificatesPage;
  const c = k.columns;
  const mayNot = useMay('certificate:write');
  const queries = useQueryClient();
  const [revoking, setRevoking] = useState<Certificate>();
  const [reason, setReason] = useState('');
  const revoke = useMutation({
    mutationFn: (id: string) => revokeCertificate(id, reason),
    onSuccess: () => {
      setRevoking(undefined);
      setReason('');
      void queries.invalidateQueries({ queryKey: ['certificates'] });
    },
  });
  return (
    <>
      <ListTable query={query} label={t.settings.certificates} head={[c.endpoint, c.serial, c.issued, c.used, c.ends, c.state, '']} empty={empty}>
        {(one) => (
          <tr key={one.id} data-off={one.state !== 'valid' || undefined}>
            <td className="mono wrap" style={{ minWidth: 170 }}>{withDevice && one.device_id ? <Link to="/devices/$deviceId" params={{ deviceId: one.device_id }} search={{ tab: 'reach' }}>{one.endpoint_id}</Link> : one.endpoint_id}</td>
            <td className="mono wrap" style={{ minWidth: 150 }} title={one.fingerprint}>{one.serial}</td>
            <td><Ago at={one.created_at} /> <span className="dim">{actorName(one.created_by)}</span></td>
            <td><Ago at={one.first_used_at} none={k.unused} /></td>
            <td>{one.revoked_at ? <span className="dim">-</span> : <Ago at={one.not_after} />}</td>
            <td><State tone={tones[one.state]}>{k.states[one.state]}</State>{one.reason ? <div className="dim wrap" style={{ minWidth: 180 }}>{one.reason}</div> : null}</td>
            <td style={{ textAlign: 'right' }}>
              {one.state === 'valid' ? <ActionButton size="compact-xs" disabledReason={mayNot} onClick={() => setRevoking(one)}>{k.revoke}</ActionButton> : null}
            </td>
          </tr>
        )}
      </ListTable>
      {revoking ? (
        <Confirm title={k.revokeTitle} verb={k.revoke} danger busy={revoke.isPending} error={revoke.error} onConfirm={() => revoke.mutate(revoking.id)} onClose={() => setRevoking(undefined)}>
          <p><strong>{revoking.endpoint_id}</strong> <span className="mono">{revoking.serial}</span></p>
          <p>{k.revokeDetail}</p>
          <TextInput label={k.reason} value={reason} maxLength={200} onChange={(event) => setReason(event.currentTarget.value)} />
        </Confirm>
      ) : null}
    </>
  );
}

// Certificates of the tenant's devices: issued, listed, revoked.
import { Button } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { certificatesQuery, issueCertificate, type CertificateIssued } from '~/api/certificates';
import { useMay } from '~/api/session';
import { ActionButton } from '~/components/action-button';
import { Certificates } from '~/components/certificates';
import { Dialog } from '~/components/dialog';
import { Icon } from '~/components/icon';
import { TextInput } from '~/components/mantine/text-input';
import { Empty, Failure, Note } from '~/components/notice';
import { t } from '~/text';
import { SettingsFrame } from './frame';

const k = t.settings.certificatesPage;

export function CertificatesPage() {
  const mayNot = useMay('certificate:write');
  const query = useQuery(certificatesQuery());
  const [issuing, setIssuing] = useState(false);
  return (
    <SettingsFrame
      title={t.settings.certificates}
      intro={k.intro}
      action={<ActionButton variant="filled" leftSection={<Icon name="plus" size={14} />} disabledReason={mayNot} onClick={() => setIssuing(true)}>{k.issue}</ActionButton>}
    >
      {query.data?.next ? <Note>{k.more}</Note> : null}
      <Certificates query={query} withDevice empty={<Empty title={k.empty}><p>{k.emptyDetail}</p></Empty>} />
      {issuing ? <Issue onClose={() => setIssuing(false)} /> : null}
    </SettingsFrame>
  );
}

function Issue({ onClose }: { onClose: () => void }) {
  const queries = useQueryClient();
  const [endpoint, setEndpoint] = useState('');
  const issue = useMutation({
    mutationFn: () => issueCertificate({ endpoint_id: endpoint.trim() }),
    onSuccess: () => void queries.invalidateQueries({ queryKey: ['certificates'] }),
  });
  return (
    <Dialog onClose={onClose} title={k.issue} size={620}>
      {issue.data ? <Issued issued={issue.data} onClose={onClose} /> : (
        <form className="stack" onSubmit={(event) => { event.preventDefault(); issue.mutate(); }}>
          <TextInput label={k.endpoint} placeholder="os::00256D-S1" required value={endpoint} onChange={(event) => setEndpoint(event.currentTarget.value)} />
          <p className="dim">{k.issueDetail}</p>
          {issue.error ? <Failure error={issue.error} /> : null}
          <div className="row" style={{ justifyContent: 'flex-end' }}>
            <Button variant="default" onClick={onClose}>{t.common.cancel}</Button>
            <Button type="submit" loading={issue.isPending} disabled={endpoint.trim() === ''}>{k.issue}</Button>
          </div>
        </form>
      )}
    </Dialog>
  );
}

/** The key is here and nowhere else: it is saved as a file, or lost. */
function Issued({ issued, onClose }: { issued: CertificateIssued; onClose: () => void }) {
  const files: [string, string | null | undefined][] = [['certificate.pem', issued.pem], ['key.pem', issued.key], ['authority.pem', issued.authority]];
  return (
    <div className="stack">
      <Note tone="warn">{k.once}</Note>
      <p><strong>{issued.certificate.endpoint_id}</strong></p>
      <div className="row wrapped">
        {files.map(([name, text]) => text ? (
          <a key={name} download={name} href={`data:application/x-pem-file;charset=utf-8,${encodeURIComponent(text)}`}>{name}</a>
        ) : null)}
      </div>
      {issued.urls.map((url) => <p key={url} className="mono wrap">{url}</p>)}
      <div className="row" style={{ justifyContent: 'flex-end' }}><Button onClick={onClose}>{t.common.close}</Button></div>
    </div>
  );
}

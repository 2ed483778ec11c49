// Certificates of the tenant's devices: issued, listed, revoked.
import { Button } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { getRouteApi, useNavigate } from '@tanstack/react-router';
import { useEffect, useState } from 'react';
import { authorityQuery, certificatesQuery, issueCertificate, type CertificateIssued } from '~/api/certificates';
import { asProblem } from '~/api/problem';
import { useMay } from '~/api/session';
import { parseCertificatesSearch, type CertificatesShow } from '~/app/search-params';
import { useChecked } from '~/app/use-search';
import { ActionButton } from '~/components/action-button';
import { Certificates } from '~/components/certificates';
import { Copyable } from '~/components/copy';
import { Dialog } from '~/components/dialog';
import { Icon } from '~/components/icon';
import { SegmentedControl } from '~/components/mantine/segmented';
import { TextInput } from '~/components/mantine/text-input';
import { Empty, Failure, Note } from '~/components/notice';
import { Ago } from '~/components/time';
import { t } from '~/text';
import { Facts, SettingsFrame } from './frame';

const k = t.settings.certificatesPage;

const route = getRouteApi('/inside/settings/certificates');

export function CertificatesPage() {
  const { show, endpoint } = useChecked(route.useSearch(), parseCertificatesSearch);
  const navigate = useNavigate();
  const mayNot = useMay('certificate:write');
  const query = useQuery(certificatesQuery({ show, endpoint }));
  const authority = useQuery(authorityQuery);
  const [issuing, setIssuing] = useState(false);
  const [typed, setTyped] = useState(endpoint ?? '');
  useEffect(() => setTyped(endpoint ?? ''), [endpoint]);
  const look = (search: { show?: CertificatesShow; endpoint?: string }) => void navigate({ to: '/settings/certificates', search });
  // There is none, or it cannot be used: that is an answer, and no failure.
  const problem = authority.error ? asProblem(authority.error) : undefined;
  const missing = problem?.refuser === 'conflict' ? (problem.detail ?? problem.title) : undefined;
  const cannot = missing ?? (authority.data?.issues === false ? k.mayNotIssue : undefined);
  const filtered = show !== undefined || endpoint !== undefined;
  return (
    <SettingsFrame
      title={t.settings.certificates}
      intro={k.intro}
      action={<ActionButton variant="filled" leftSection={<Icon name="plus" size={14} />} disabledReason={mayNot ?? cannot} onClick={() => setIssuing(true)}>{k.issue}</ActionButton>}
    >
      <section className="stack" aria-label={k.authority}>
        {missing ? <Note tone="warn">{missing}</Note> : authority.error ? <Failure error={authority.error} retry={() => void authority.refetch()} /> : null}
        {authority.data ? (
          <Facts
            facts={[
              [k.authority, authority.data.subject],
              [k.authorityEnds, <Ago key="e" at={authority.data.not_after} />],
              [k.authorityHere, authority.data.issues ? k.issuesHere : k.issuesElsewhere],
            ]}
          />
        ) : null}
      </section>
      <form className="row wrapped" onSubmit={(event) => { event.preventDefault(); look({ show, endpoint: typed.trim() || undefined }); }}>
        <SegmentedControl
          aria-label={k.show}
          data={(['all', 'soon', 'revoked'] as const).map((value) => ({ value, label: k.shows[value] }))}
          value={show ?? 'all'}
          onChange={(value) => look({ show: value === 'all' ? undefined : (value as CertificatesShow), endpoint })}
        />
        <TextInput data-page-filter aria-label={k.filterEndpoint} placeholder={k.filterEndpoint} w={280} classNames={{ input: 'mono' }} spellCheck={false} value={typed} onChange={(event) => setTyped(event.currentTarget.value)} />
        <Button type="submit">{k.find}</Button>
        {filtered ? <Button onClick={() => look({})}>{k.clear}</Button> : null}
      </form>
      {query.data?.next ? <Note>{k.more}</Note> : null}
      <Certificates query={query} withDevice empty={filtered ? <Empty title={k.none}><p>{k.noneDetail}</p></Empty> : <Empty title={k.empty}><p>{k.emptyDetail}</p></Empty>} />
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
      {issued.urls.length > 0 ? <div className="stack tight"><span className="dim">{k.urls}</span>{issued.urls.map((url) => <Copyable key={url} value={url} label={k.urls} />)}</div> : null}
      <div className="row" style={{ justifyContent: 'flex-end' }}><Button onClick={onClose}>{t.common.close}</Button></div>
    </div>
  );
}

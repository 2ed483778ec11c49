// Registers a device before it comes: one that listens and is dialled, or one that gets its own credential at once.
import { Button } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import { createDevice } from '~/api/devices';
import type { LanAgent } from '~/api/discovery';
import { useMay } from '~/api/session';
import { ActionButton } from '~/components/action-button';
import { Checkbox } from '~/components/mantine/checkbox';
import { TextInput } from '~/components/mantine/text-input';
import { Failure, Note } from '~/components/notice';
import { Secret } from '~/components/secret';
import { t } from '~/text';
import { HeardAgents } from './heard-agents';
import { splitTags } from './tags';

export function DialDevice({ dial, onClose }: { dial: boolean; onClose: () => void }) {
  const d = t.addDevice;
  const queries = useQueryClient();
  const mayNot = useMay('device:write');
  const mayNotLook = useMay('system:read');
  const [endpoint, setEndpoint] = useState('');
  const [url, setUrl] = useState('');
  const [label, setLabel] = useState('');
  const [tags, setTags] = useState('');
  const [certificate, setCertificate] = useState(false);
  const create = useMutation({
    mutationFn: () =>
      createDevice({
        endpoint_id: endpoint.trim(),
        label: label.trim() || undefined,
        tags: splitTags(tags),
        dial_url: dial ? url.trim() : undefined,
        certificate_required: certificate,
      }),
    onSuccess: () => void queries.invalidateQueries({ queryKey: ['devices'] }),
  });
  const use = (agent: LanAgent) => {
    setEndpoint(agent.endpoint_id);
    setUrl(agent.url ?? '');
    setLabel(label || (agent.name ?? ''));
  };
  if (create.data) {
    const { device, urls } = create.data;
    return (
      <div className="stack loose">
        <Note tone="ok">{dial ? d.dialled : certificate ? d.registeredCertificate : d.registered}</Note>
        {urls.map((one) => <Secret key={one} label={d.url} value={one} once={!certificate} />)}
        <div className="row" style={{ justifyContent: 'space-between' }}>
          <Link to="/devices/$deviceId" params={{ deviceId: device.id }} search={{ tab: 'reach' }}>{d.open}</Link>
          <Button onClick={onClose}>{t.common.done}</Button>
        </div>
      </div>
    );
  }
  return (
    <form
      className="stack loose"
      onSubmit={(event) => {
        event.preventDefault();
        if (!mayNot) create.mutate();
      }}
    >
      {dial ? null : <p className="dim">{d.registerHelp}</p>}
      {dial && !mayNotLook ? <HeardAgents onUse={use} /> : null}
      <div className="stack">
        {dial ? <TextInput label={d.dialUrl} placeholder={d.dialUrlExample} value={url} onChange={(e) => setUrl(e.currentTarget.value)} required data-autofocus classNames={{ input: 'mono' }} /> : null}
        <TextInput label={d.endpointId} placeholder={d.endpointExample} value={endpoint} onChange={(e) => setEndpoint(e.currentTarget.value)} required data-autofocus={!dial || undefined} classNames={{ input: 'mono' }} />
        <div className="row" style={{ alignItems: 'flex-start' }}>
          <TextInput label={`${d.label} (${t.common.optional})`} value={label} maxLength={100} onChange={(e) => setLabel(e.currentTarget.value)} className="grow" />
          <TextInput label={`${d.tags} (${t.common.optional})`} description={d.tagsHint} inputWrapperOrder={['label', 'input', 'description']} value={tags} onChange={(e) => setTags(e.currentTarget.value)} className="grow" />
        </div>
      </div>
      {dial ? null : <Checkbox label={d.certificate} description={d.certificateHint} checked={certificate} onChange={(e) => setCertificate(e.currentTarget.checked)} />}
      {create.error ? <Failure error={create.error} /> : null}
      <div><ActionButton type="submit" variant="filled" loading={create.isPending} disabledReason={mayNot}>{dial ? d.dialSubmit : d.registerSubmit}</ActionButton></div>
    </form>
  );
}

// The questions and the form behind the actions of a device.
import { Button } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { deleteDevice, readmitDevice, updateDevice, type DeviceDetail } from '~/api/devices';
import { apply, freshKey, preview } from '~/api/operations';
import { announce } from '~/app/announce';
import { Confirm } from '~/components/confirm';
import { Dialog } from '~/components/dialog';
import { TextInput } from '~/components/mantine/text-input';
import { Failure, Note } from '~/components/notice';
import { t } from '~/text';
import { splitTags } from '../devices/tags';
import type { DialogName } from './header';
import { Merge } from './merge';
import { ownNames } from './names';
import { FetchFile, SendFile } from './transfer';
import { Waits } from './waits';

interface Props {
  name: DialogName;
  device: DeviceDetail;
  onClose: () => void;
}

export function Dialogs({ name, device, onClose }: Props) {
  if (name === 'edit') return <Edit device={device} onClose={onClose} />;
  if (name === 'reboot') return <Reboot device={device} onClose={onClose} />;
  if (name === 'readmit') return <Readmit device={device} onClose={onClose} />;
  if (name === 'merge') return <Merge device={device} onClose={onClose} />;
  if (name === 'send') return <SendFile device={device} onClose={onClose} />;
  if (name === 'fetch') return <FetchFile device={device} onClose={onClose} />;
  if (name === 'certificate') return <Certificate device={device} onClose={onClose} />;
  return <Remove device={device} onClose={onClose} />;
}

type Dialog = Omit<Props, 'name'>;

/** What it is called on the wire: whoever presents that name is meant. */
function Names({ device }: { device: DeviceDetail }) {
  return <span className="mono wrap">{ownNames(device).map((one) => one.value).join(', ')}</span>;
}

const REBOOT = { kind: 'operate', command: 'Device.Reboot()', input: {} } as const;

function Reboot({ device, onClose }: Dialog) {
  const navigate = useNavigate();
  const [key] = useState(freshKey);
  const seen = useQuery({ queryKey: ['device', device.id, 'preview', 'reboot'], queryFn: () => preview(device.id, [REBOOT]), gcTime: 0 });
  const run = useMutation({
    mutationFn: () => apply(device.id, REBOOT, key),
    onSuccess: (operation) => {
      announce(t.device.sent);
      onClose();
      void navigate({ to: '/operations/$operationId', params: { operationId: operation.id } });
    },
  });
  return (
    <Confirm title={t.device.rebootTitle} verb={t.device.reboot} danger busy={run.isPending} error={run.error} onConfirm={() => run.mutate()} onClose={onClose}>
      <p><strong>{device.name}</strong></p>
      <p>{t.device.rebootDetail}</p>
      <Waits device={device} />
      {seen.data?.warnings.map((warning) => <Note key={warning} tone="warn">{warning}</Note>)}
    </Confirm>
  );
}

function Readmit({ device, onClose }: Dialog) {
  const queries = useQueryClient();
  const run = useMutation({
    mutationFn: () => readmitDevice(device.id),
    onSuccess: () => {
      announce(t.device.readmitted);
      void queries.invalidateQueries({ queryKey: ['device', device.id] });
      onClose();
    },
  });
  return (
    <Confirm title={t.device.readmitTitle} verb={t.device.readmit} busy={run.isPending} error={run.error} onConfirm={() => run.mutate()} onClose={onClose}>
      <p><strong>{device.name}</strong> <Names device={device} /></p>
      <p>{t.device.readmitDetail}</p>
    </Confirm>
  );
}

/** Only a client certificate opens the device, or no longer only that. */
function Certificate({ device, onClose }: Dialog) {
  const d = t.device;
  const queries = useQueryClient();
  const required = !device.admission.certificate_required;
  const run = useMutation({
    mutationFn: () => updateDevice(device.id, { certificate_required: required }),
    onSuccess: (fresh) => {
      queries.setQueryData(['device', device.id, 'detail'], fresh);
      void queries.invalidateQueries({ queryKey: ['device', device.id, 'reach'] });
      announce(d.saved);
      onClose();
    },
  });
  return (
    <Confirm title={required ? d.certificateTitle : d.certificateOffTitle} verb={required ? d.certificateVerb : d.certificateOffVerb} danger={required} busy={run.isPending} error={run.error} onConfirm={() => run.mutate()} onClose={onClose}>
      <p><strong>{device.name}</strong> <Names device={device} /></p>
      <p>{required ? d.certificateDetail : d.certificateOffDetail}</p>
    </Confirm>
  );
}

function Remove({ device, onClose }: Dialog) {
  const queries = useQueryClient();
  const navigate = useNavigate();
  const run = useMutation({
    mutationFn: () => deleteDevice(device.id),
    onSuccess: async () => {
      announce(t.device.removed(device.name));
      await navigate({ to: '/devices', search: {} });
      queries.removeQueries({ queryKey: ['device', device.id] });
      void queries.invalidateQueries({ queryKey: ['devices'] });
    },
  });
  return (
    <Confirm title={t.device.removeTitle} verb={t.device.remove} danger typed={device.name} busy={run.isPending} error={run.error} onConfirm={() => run.mutate()} onClose={onClose}>
      <p>{t.device.removeDetail}</p>
    </Confirm>
  );
}

function Edit({ device, onClose }: Dialog) {
  const d = t.device;
  const queries = useQueryClient();
  const [label, setLabel] = useState(device.label ?? '');
  const [tags, setTags] = useState(device.tags.join(', '));
  const [dial, setDial] = useState(device.dial_url ?? '');
  const save = useMutation({
    mutationFn: () => updateDevice(device.id, { label: label.trim(), tags: splitTags(tags), dial_url: dial.trim() === (device.dial_url ?? '') ? undefined : dial.trim() }),
    onSuccess: (fresh) => {
      queries.setQueryData(['device', device.id, 'detail'], fresh);
      void queries.invalidateQueries({ queryKey: ['devices'] });
      announce(d.saved);
      onClose();
    },
  });
  return (
    <Dialog onClose={onClose} title={d.editTitle} size="md">
      <form
        className="stack loose"
        onSubmit={(event) => {
          event.preventDefault();
          save.mutate();
        }}
      >
        <p className="dim">{d.editHint}</p>
        <TextInput label={d.label} value={label} maxLength={100} onChange={(e) => setLabel(e.currentTarget.value)} data-autofocus />
        <TextInput label={d.tags} description={d.tagsHint} inputWrapperOrder={['label', 'input', 'description']} value={tags} onChange={(e) => setTags(e.currentTarget.value)} />
        {device.endpoint_ids.length > 0 ? <TextInput label={d.dialUrl} description={d.dialUrlHint} inputWrapperOrder={['label', 'input', 'description']} value={dial} onChange={(e) => setDial(e.currentTarget.value)} classNames={{ input: 'mono' }} /> : null}
        {save.error ? <Failure error={save.error} /> : null}
        <div className="row" style={{ justifyContent: 'flex-end' }}>
          <Button onClick={onClose}>{t.common.cancel}</Button>
          <Button type="submit" variant="filled" loading={save.isPending}>{t.common.save}</Button>
        </div>
      </form>
    </Dialog>
  );
}

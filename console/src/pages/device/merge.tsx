// Another device that is this one: found, shown, made one after its name was typed; and a way split off again.
import { useDebouncedValue } from '@mantine/hooks';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { mergeDevice, splitDevice } from '~/api/device-matches';
import { deviceSearchQuery, type Device, type DeviceDetail } from '~/api/devices';
import { announce } from '~/app/announce';
import { Confirm } from '~/components/confirm';
import { Select } from '~/components/mantine/select';
import { t } from '~/text';

const m = t.matches;
const TYPING_MS = 180;

const label = (one: Device) => [one.name, one.model, one.ip].filter(Boolean).join(', ');

export function Merge({ device, onClose }: { device: DeviceDetail; onClose: () => void }) {
  const queries = useQueryClient();
  const [other, setOther] = useState<Device>();
  const [typed, setTyped] = useState('');
  const [q] = useDebouncedValue(other && typed === label(other) ? '' : typed.trim(), TYPING_MS);
  const found = useQuery(deviceSearchQuery(q));
  const items = (found.data?.items ?? []).filter((one) => one.id !== device.id);
  const known = other && !items.some((one) => one.id === other.id) ? [other, ...items] : items;
  const run = useMutation({
    mutationFn: async () => {
      if (other) await mergeDevice(device.id, other.id);
      return other;
    },
    onSuccess: (gone) => {
      announce(m.merged(device.name));
      if (gone) queries.removeQueries({ queryKey: ['device', gone.id] });
      for (const key of [['device', device.id], ['devices'], ['device-matches']]) void queries.invalidateQueries({ queryKey: key });
      onClose();
    },
  });
  return (
    <Confirm title={m.mergeTitle} verb={m.mergeVerb} danger typed={other?.name} incomplete={other === undefined} busy={run.isPending} error={run.error} onConfirm={() => run.mutate()} onClose={onClose}>
      <p><strong>{device.name}</strong></p>
      <Select
        label={m.mergeFind}
        placeholder={m.mergePlaceholder}
        searchable
        searchValue={typed}
        onSearchChange={setTyped}
        // The server has looked already.
        filter={({ options }) => options}
        value={other?.id ?? null}
        data={known.map((one) => ({ value: one.id, label: label(one) }))}
        onChange={(id) => setOther(known.find((one) => one.id === id))}
        nothingFoundMessage={q === '' ? undefined : m.mergeNone}
      />
      <p>{other ? m.oneDetail(other.name, device.name) : m.mergeHint}</p>
    </Confirm>
  );
}

export function Split({ device, transport, onClose }: { device: DeviceDetail; transport: string; onClose: () => void }) {
  const queries = useQueryClient();
  const navigate = useNavigate();
  const run = useMutation({
    mutationFn: () => splitDevice(device.id, transport),
    onSuccess: (fresh) => {
      announce(m.splitDone(fresh.name));
      void queries.invalidateQueries({ queryKey: ['device', device.id] });
      void queries.invalidateQueries({ queryKey: ['devices'] });
      onClose();
      void navigate({ to: '/devices/$deviceId', params: { deviceId: fresh.id }, search: { tab: 'reach' } });
    },
  });
  return (
    <Confirm title={m.splitTitle} verb={m.split} danger busy={run.isPending} error={run.error} onConfirm={() => run.mutate()} onClose={onClose}>
      <p><strong>{device.name}</strong> <span className="mono">{transport}</span></p>
      <p>{m.splitDetail}</p>
    </Confirm>
  );
}

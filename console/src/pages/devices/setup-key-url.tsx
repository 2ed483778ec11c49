// A fresh setup key, how to write it into a device of either protocol, and the wait for the device.
import { Button } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useEffect, useState } from 'react';
import { createSetupKey, type SetupKeyCreated } from '~/api/admin';
import { onLiveEvent } from '~/api/live';
import type { Event } from '~/api/events';
import { ActionButton } from '~/components/action-button';
import { NumberInput } from '~/components/mantine/number-input';
import { SegmentedControl } from '~/components/mantine/segmented';
import { Select } from '~/components/mantine/select';
import { TextInput } from '~/components/mantine/text-input';
import { Failure } from '~/components/notice';
import { State } from '~/components/state';
import { serverNow } from '~/lib/clock';
import { t } from '~/text';
import { HowCwmp } from './how-cwmp';
import { HowMqtt } from './how-mqtt';
import { HowUsp } from './how-usp';

const DAY_MS = 86_400_000;
const lifetimes: Record<string, number | undefined> = { day: DAY_MS, week: 7 * DAY_MS, month: 30 * DAY_MS, never: undefined };

export function SetupKeyUrl({ disabledReason, onClose }: { disabledReason?: string; onClose: () => void }) {
  const d = t.addDevice;
  const queries = useQueryClient();
  const [name, setName] = useState(() => d.keyNameDefault(new Date(serverNow()).toISOString().slice(0, 10)));
  const [life, setLife] = useState('week');
  const [uses, setUses] = useState<number | string>('');
  const create = useMutation({
    mutationFn: () => {
      const ms = lifetimes[life];
      return createSetupKey({
        name: name.trim(),
        expires_at: ms === undefined ? undefined : new Date(serverNow() + ms).toISOString(),
        uses_max: typeof uses === 'number' ? uses : undefined,
      });
    },
    onSuccess: () => void queries.invalidateQueries({ queryKey: ['setup-keys'] }),
  });
  if (create.data) return <HowTo made={create.data} onClose={onClose} />;
  return (
    <form
      className="stack loose"
      onSubmit={(event) => {
        event.preventDefault();
        if (!disabledReason) create.mutate();
      }}
    >
      <p className="dim">{d.dialsHelp}</p>
      <div className="row wrapped" style={{ alignItems: 'flex-start' }}>
        <TextInput label={d.keyName} value={name} maxLength={100} onChange={(e) => setName(e.currentTarget.value)} style={{ flex: '2 1 220px' }} data-autofocus />
        <Select label={d.expires} value={life} onChange={(value) => setLife(value ?? 'week')} data={Object.entries(d.expiresChoices).map(([value, label]) => ({ value, label }))} style={{ flex: '1 1 140px' }} />
        <NumberInput label={d.uses} description={d.usesHint} inputWrapperOrder={['label', 'input', 'description']} value={uses} onChange={setUses} min={1} allowDecimal={false} style={{ flex: '1 1 140px' }} />
      </div>
      {create.error ? <Failure error={create.error} /> : null}
      <div>
        <ActionButton type="submit" variant="filled" loading={create.isPending} disabledReason={disabledReason ?? (name.trim() === '' ? d.keyName : undefined)}>{d.makeKey}</ActionButton>
      </div>
    </form>
  );
}

/** How to write it into a device, by what the device speaks; and the wait for it. */
function HowTo({ made, onClose }: { made: SetupKeyCreated; onClose: () => void }) {
  const d = t.addDevice;
  const [speaks, setSpeaks] = useState(made.urls.length > 0 ? 'usp' : made.mqtt ? 'mqtt' : made.acs ? 'cwmp' : 'usp');
  const [arrived, setArrived] = useState<{ id: string; name: string }>();
  useEffect(
    () =>
      onLiveEvent(({ data }) => {
        const event = data as Partial<Event> | null;
        if (event?.kind === 'device.created' && event.device_id) setArrived({ id: event.device_id, name: event.device_name ?? event.device_id });
      }),
    [],
  );
  return (
    <div className="stack loose">
      <SegmentedControl aria-label={d.speaks} value={speaks} onChange={setSpeaks} data={[{ value: 'usp', label: d.speaksUsp }, ...(made.mqtt ? [{ value: 'mqtt', label: d.speaksMqtt }] : []), { value: 'cwmp', label: d.speaksCwmp }]} />
      {speaks === 'usp' ? <HowUsp path={made.path} urls={made.urls} /> : speaks === 'mqtt' && made.mqtt ? <HowMqtt mqtt={made.mqtt} secret={made.secret} /> : <HowCwmp acs={made.acs} secret={made.secret} />}
      <div className="row" role="status">
        {arrived ? <State tone="ok">{d.arrived(arrived.name)}</State> : <State tone="waiting">{d.waiting}</State>}
        {arrived ? <Link to="/devices/$deviceId" params={{ deviceId: arrived.id }}>{d.open}</Link> : null}
      </div>
      <div className="row" style={{ justifyContent: 'flex-end' }}><Button onClick={onClose}>{t.common.done}</Button></div>
    </div>
  );
}

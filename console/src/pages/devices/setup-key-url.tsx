// A fresh setup key as the URL an agent dials, how to write it into one, and the wait for the device.
import { Button, NumberInput, Select, TextInput } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useEffect, useState } from 'react';
import { createSetupKey, systemQuery } from '~/api/admin';
import { onLiveEvent } from '~/api/live';
import type { Event } from '~/api/events';
import { useSession } from '~/api/session';
import { ActionButton } from '~/components/action-button';
import { Failure } from '~/components/notice';
import { Secret, Snippet } from '~/components/secret';
import { State } from '~/components/state';
import { serverNow } from '~/lib/clock';
import { t } from '~/text';

const DAY_MS = 86_400_000;
const lifetimes: Record<string, number | undefined> = { day: DAY_MS, week: 7 * DAY_MS, month: 30 * DAY_MS, never: undefined };

export function SetupKeyUrl({ disabledReason, onClose }: { disabledReason?: string; onClose: () => void }) {
  const d = t.devices.addDialog;
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
  if (create.data) return <HowTo path={create.data.path} urls={create.data.urls} onClose={onClose} />;
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

function HowTo({ path, urls, onClose }: { path: string; urls: string[]; onClose: () => void }) {
  const d = t.devices.addDialog;
  const session = useSession();
  const system = useQuery({ ...systemQuery, enabled: session.permissions.includes('system:read') });
  const [arrived, setArrived] = useState<{ id: string; name: string }>();
  useEffect(
    () =>
      onLiveEvent(({ data }) => {
        const event = data as Partial<Event> | null;
        if (event?.kind === 'device.created' && event.device_id) setArrived({ id: event.device_id, name: event.device_name ?? event.device_id });
      }),
    [],
  );
  const url = urls[0] ?? '';
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  const endpoint = system.data?.endpoint_id ?? '<endpoint id of this controller>';
  return (
    <div className="stack loose">
      {urls.map((one) => <Secret key={one} label={d.url} value={one} />)}
      <p className="dim small">{d.urlHint}</p>
      <Snippet
        label={d.howHeadendAgent}
        text={`[[controller]]\nendpoint_id = "${endpoint}"\nurl = "${url}"`}
      />
      <Snippet
        label={d.howObuspa}
        text={[
          `Device.LocalAgent.Controller.1.EndpointID "${endpoint}"`,
          'Device.LocalAgent.Controller.1.MTP.1.Protocol "WebSocket"',
          `Device.LocalAgent.Controller.1.MTP.1.WebSocket.Host "${parsed?.hostname ?? ''}"`,
          `Device.LocalAgent.Controller.1.MTP.1.WebSocket.Port "${parsed?.port || (parsed?.protocol === 'wss:' ? '443' : '80')}"`,
          `Device.LocalAgent.Controller.1.MTP.1.WebSocket.Path "${path}"`,
          `Device.LocalAgent.Controller.1.MTP.1.WebSocket.EnableEncryption "${parsed?.protocol === 'wss:'}"`,
          'Device.LocalAgent.Controller.1.MTP.1.Enable "true"',
          'Device.LocalAgent.Controller.1.Enable "true"',
        ].join('\n')}
      />
      <div className="row" role="status">
        {arrived ? <State tone="ok">{d.arrived(arrived.name)}</State> : <State tone="waiting">{d.waiting}</State>}
        {arrived ? <Link to="/devices/$deviceId" params={{ deviceId: arrived.id }}>{d.open}</Link> : null}
      </div>
      <div className="row" style={{ justifyContent: 'flex-end' }}><Button onClick={onClose}>{t.common.done}</Button></div>
    </div>
  );
}

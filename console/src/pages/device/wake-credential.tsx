// With what a device is asked to come: ours, or the user name and password that it keeps, which a person enters here.
import { Button } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { enterWakeCredential, removeWakeCredential, type DeviceDetail, type Reach } from '~/api/devices';
import { announce } from '~/app/announce';
import { ActionButton } from '~/components/action-button';
import { Confirm } from '~/components/confirm';
import { Dialog } from '~/components/dialog';
import { PasswordInput } from '~/components/mantine/password-input';
import { TextInput } from '~/components/mantine/text-input';
import { Failure } from '~/components/notice';
import { Ago } from '~/components/time';
import { t } from '~/text';

type Credential = NonNullable<Reach['wake_credential']>;
const CHARS_MAX = 256;

export function WakeCredential({ device, credential, mayNot }: { device: DeviceDetail; credential: Credential; mayNot: string | undefined }) {
  const w = t.device.reach.wakeCredential;
  const [open, setOpen] = useState<'enter' | 'remove'>();
  const close = () => setOpen(undefined);
  const entered = credential.source === 'entered';
  return (
    <div className="row wrapped" role="group" aria-label={w.title} style={{ padding: '4px 14px 10px' }}>
      <span className="dim">{w.title}:</span>
      <span className="wrap">
        {w.sources[credential.source]}
        {credential.username ? <> {w.user} <span className="mono">{credential.username}</span></> : null}
        {credential.entered_at ? <span className="dim">, {w.entered(credential.entered_by?.name)} <Ago at={credential.entered_at} /></span> : null}
      </span>
      <span className="grow" />
      <ActionButton size="compact-xs" disabledReason={mayNot} onClick={() => setOpen('enter')}>{entered ? w.again : w.enter}</ActionButton>
      {entered ? <ActionButton size="compact-xs" disabledReason={mayNot} onClick={() => setOpen('remove')}>{w.remove}</ActionButton> : null}
      {open === 'enter' ? <Enter device={device} username={entered ? credential.username ?? '' : ''} onClose={close} /> : null}
      {open === 'remove' ? <Remove device={device} onClose={close} /> : null}
    </div>
  );
}

function Enter({ device, username, onClose }: { device: DeviceDetail; username: string; onClose: () => void }) {
  const w = t.device.reach.wakeCredential;
  const queries = useQueryClient();
  const [user, setUser] = useState(username);
  const [password, setPassword] = useState('');
  const save = useMutation({
    mutationFn: () => enterWakeCredential(device.id, user, password),
    onSuccess: (woken) => {
      announce(w.saved(woken.words), woken.tried ? 'ok' : 'warn');
      void queries.invalidateQueries({ queryKey: ['device', device.id] });
      onClose();
    },
  });
  const ready = user !== '' && password !== '';
  return (
    <Dialog onClose={onClose} title={w.enterTitle} size="md">
      <form
        className="stack loose"
        onSubmit={(event) => {
          event.preventDefault();
          if (ready && !save.isPending) save.mutate();
        }}
      >
        <p>{w.detail}</p>
        <TextInput data-autofocus label={w.username} value={user} maxLength={CHARS_MAX} onChange={(event) => setUser(event.currentTarget.value)} autoComplete="off" />
        <PasswordInput size="sm" label={w.password} value={password} maxLength={CHARS_MAX} onChange={(event) => setPassword(event.currentTarget.value)} autoComplete="new-password" />
        {save.error ? <Failure error={save.error} /> : null}
        <div className="row" style={{ justifyContent: 'flex-end' }}>
          <Button onClick={onClose}>{t.common.cancel}</Button>
          <Button type="submit" variant="filled" loading={save.isPending} disabled={!ready}>{w.save}</Button>
        </div>
      </form>
    </Dialog>
  );
}

function Remove({ device, onClose }: { device: DeviceDetail; onClose: () => void }) {
  const w = t.device.reach.wakeCredential;
  const queries = useQueryClient();
  const run = useMutation({
    mutationFn: () => removeWakeCredential(device.id),
    onSuccess: () => {
      announce(w.removed);
      void queries.invalidateQueries({ queryKey: ['device', device.id] });
      onClose();
    },
  });
  return (
    <Confirm title={w.removeTitle} verb={w.remove} danger busy={run.isPending} error={run.error} onConfirm={() => run.mutate()} onClose={onClose}>
      <p><strong>{device.name}</strong></p>
      <p>{w.removeDetail}</p>
    </Confirm>
  );
}

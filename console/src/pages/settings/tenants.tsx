// The tenants of the installation; for platform administrators.
import { Button } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { createTenant, disableTenant, renameTenant, tenantsQuery, type Tenant } from '~/api/admin';
import { sessionQuery, useMay, useSession } from '~/api/session';
import { announce } from '~/app/announce';
import { ActionButton } from '~/components/action-button';
import { Confirm } from '~/components/confirm';
import { Dialog } from '~/components/dialog';
import { Icon } from '~/components/icon';
import { TextInput } from '~/components/mantine/text-input';
import { Failure } from '~/components/notice';
import { State } from '~/components/state';
import { Tag } from '~/components/tag';
import { Ago } from '~/components/time';
import { t } from '~/text';
import { ListTable, SettingsFrame } from './frame';
import { Rename } from './rename';

const SLUG = /^[a-z0-9][a-z0-9-]{0,31}$/;
const p = t.settings.tenantsPage;

export function TenantsPage() {
  const session = useSession();
  const mayNot = useMay('platform:write');
  const query = useQuery(tenantsQuery);
  const queries = useQueryClient();
  const [creating, setCreating] = useState(false);
  const [renaming, setRenaming] = useState<Tenant>();
  const [barring, setBarring] = useState<Tenant>();
  const fresh = () => {
    void queries.invalidateQueries({ queryKey: ['tenants'] });
    void queries.invalidateQueries({ queryKey: sessionQuery.queryKey });
  };
  const bar = useMutation({
    mutationFn: (tenant: Tenant) => disableTenant(tenant.id, tenant.disabled_at == null),
    onSuccess: (now) => {
      announce(now.disabled_at == null ? p.enabled(now.name) : p.disabled(now.name));
      setBarring(undefined);
      fresh();
    },
  });
  const c = p.columns;
  return (
    <SettingsFrame title={t.settings.tenants} intro={p.intro} action={<ActionButton variant="filled" leftSection={<Icon name="plus" size={14} />} disabledReason={mayNot} onClick={() => setCreating(true)}>{p.create}</ActionButton>}>
      <ListTable query={query} label={t.settings.tenants} head={[c.name, c.id, c.created, c.state, '']} empty={null}>
        {(tenant) => (
          <tr key={tenant.id} data-off={tenant.disabled_at != null || undefined}>
            <td>{tenant.name} {tenant.id === session.tenant.id ? <Tag>{p.here}</Tag> : null}</td>
            <td className="mono">{tenant.id}</td>
            <td><Ago at={tenant.created_at} /></td>
            <td>{tenant.disabled_at == null ? <State tone="ok">{p.active}</State> : <><State tone="bad">{p.disabledState}</State> <span className="dim"><Ago at={tenant.disabled_at} /></span></>}</td>
            <td style={{ textAlign: 'right' }}>
              <span className="row tight" style={{ justifyContent: 'flex-end' }}>
                <ActionButton size="compact-xs" aria-label={`${p.rename} ${tenant.name}`} disabledReason={mayNot} onClick={() => setRenaming(tenant)}>{p.rename}</ActionButton>
                <ActionButton
                  size="compact-xs"
                  aria-label={`${tenant.disabled_at == null ? p.disable : p.enable} ${tenant.name}`}
                  disabledReason={mayNot}
                  onClick={() => setBarring(tenant)}
                >
                  {tenant.disabled_at == null ? p.disable : p.enable}
                </ActionButton>
              </span>
            </td>
          </tr>
        )}
      </ListTable>
      {creating ? <Create onClose={() => setCreating(false)} onCreated={fresh} /> : null}
      {renaming ? <Rename title={p.renameTitle} name={renaming.name} save={(name) => renameTenant(renaming.id, name)} onSaved={fresh} onClose={() => setRenaming(undefined)} /> : null}
      {barring ? <Bar tenant={barring} busy={bar.isPending} error={bar.error} onConfirm={() => bar.mutate(barring)} onClose={() => { bar.reset(); setBarring(undefined); }} /> : null}
    </SettingsFrame>
  );
}

/** Shutting a tenant out wants its short name typed: everybody and everything of it is cut off. */
function Bar({ tenant, busy, error, onConfirm, onClose }: { tenant: Tenant; busy: boolean; error: unknown; onConfirm: () => void; onClose: () => void }) {
  const off = tenant.disabled_at == null;
  return (
    <Confirm title={off ? p.disableTitle : p.enableTitle} verb={off ? p.disable : p.enable} danger={off} typed={off ? tenant.id : undefined} busy={busy} error={error} onConfirm={onConfirm} onClose={onClose}>
      <p><strong>{tenant.name}</strong> <span className="mono">{tenant.id}</span></p>
      <p>{off ? p.disableDetail : p.enableDetail}</p>
    </Confirm>
  );
}

function Create({ onClose, onCreated }: { onClose: () => void; onCreated: () => void }) {
  const [id, setId] = useState('');
  const [name, setName] = useState('');
  const create = useMutation({
    mutationFn: () => createTenant({ id, name: name.trim() }),
    onSuccess: () => {
      onCreated();
      onClose();
    },
  });
  return (
    <Dialog onClose={onClose} title={p.createTitle}>
      <form
        className="stack loose"
        onSubmit={(event) => {
          event.preventDefault();
          create.mutate();
        }}
      >
        <TextInput label={p.name} value={name} maxLength={100} onChange={(e) => setName(e.currentTarget.value)} data-autofocus />
        <TextInput label={p.id} description={p.idHint} value={id} maxLength={32} onChange={(e) => setId(e.currentTarget.value)} error={id !== '' && !SLUG.test(id) ? p.idHint : undefined} classNames={{ input: 'mono' }} />
        {create.error ? <Failure error={create.error} /> : null}
        <div className="row" style={{ justifyContent: 'flex-end' }}>
          <Button onClick={onClose}>{t.common.cancel}</Button>
          <Button type="submit" variant="filled" loading={create.isPending} disabled={!SLUG.test(id) || name.trim() === ''}>{t.common.create}</Button>
        </div>
      </form>
    </Dialog>
  );
}

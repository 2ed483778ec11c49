// Setup keys of the tenant: made, renamed, revoked.
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { renameSetupKey, revokeSetupKey, setupKeysQuery, type SetupKey } from '~/api/admin';
import { useMay } from '~/api/session';
import { ActionButton } from '~/components/action-button';
import { Confirm } from '~/components/confirm';
import { Dialog } from '~/components/dialog';
import { Icon } from '~/components/icon';
import { Empty } from '~/components/notice';
import table from '~/components/plain-table.module.css';
import { Ago } from '~/components/time';
import { t } from '~/text';
import { SetupKeyUrl } from '../devices/setup-key-url';
import { ListTable, SettingsFrame } from './frame';
import { Rename } from './rename';
import { KeyState } from './tokens';

export function SetupKeysPage() {
  const k = t.settings.keysPage;
  const c = k.columns;
  const mayNot = useMay('setup-key:write');
  const query = useQuery(setupKeysQuery);
  const queries = useQueryClient();
  const [creating, setCreating] = useState(false);
  const [revoking, setRevoking] = useState<SetupKey>();
  const [renaming, setRenaming] = useState<SetupKey>();
  const fresh = () => void queries.invalidateQueries({ queryKey: ['setup-keys'] });
  const revoke = useMutation({
    mutationFn: (id: string) => revokeSetupKey(id),
    onSuccess: () => {
      setRevoking(undefined);
      fresh();
    },
  });
  return (
    <SettingsFrame
      title={t.settings.setupKeys}
      intro={k.intro}
      action={<ActionButton variant="filled" leftSection={<Icon name="plus" size={14} />} disabledReason={mayNot} onClick={() => setCreating(true)}>{k.create}</ActionButton>}
    >
      <ListTable query={query} label={t.settings.setupKeys} head={[c.name, c.hint, c.uses, c.used, c.created, c.by, c.expires, c.state, '']} ends={[2]} empty={<Empty title={k.empty}><p>{k.emptyDetail}</p></Empty>}>
        {(key) => (
          <tr key={key.id} data-off={key.revoked_at ? true : undefined}>
            <td className="wrap">{key.name}</td>
            <td className="mono">{key.hint}</td>
            <td className={table.end}>{k.usesOf(key.uses, key.uses_max)}</td>
            <td><Ago at={key.last_used_at} /></td>
            <td><Ago at={key.created_at} /></td>
            <td>{key.created_by ?? '-'}</td>
            <td><Ago at={key.expires_at} none={t.settings.tokensPage.neverExpires} /></td>
            <td><KeyState revoked={key.revoked_at} expires={key.expires_at} usedUp={key.uses_max != null && key.uses >= key.uses_max} /></td>
            <td style={{ textAlign: 'right' }}>
              {key.revoked_at ? null : (
                <span className="row tight" style={{ justifyContent: 'flex-end' }}>
                  <ActionButton size="compact-xs" disabledReason={mayNot} onClick={() => setRenaming(key)}>{k.rename}</ActionButton>
                  <ActionButton size="compact-xs" disabledReason={mayNot} onClick={() => setRevoking(key)}>{k.revoke}</ActionButton>
                </span>
              )}
            </td>
          </tr>
        )}
      </ListTable>
      {creating ? (
        <Dialog onClose={() => setCreating(false)} title={k.create} size={680}>
          <SetupKeyUrl onClose={() => setCreating(false)} />
        </Dialog>
      ) : null}
      {renaming ? <Rename title={k.renameTitle} name={renaming.name} save={(name) => renameSetupKey(renaming.id, name)} onSaved={fresh} onClose={() => setRenaming(undefined)} /> : null}
      {revoking ? (
        <Confirm title={k.revokeTitle} verb={k.revoke} danger busy={revoke.isPending} error={revoke.error} onConfirm={() => revoke.mutate(revoking.id)} onClose={() => setRevoking(undefined)}>
          <p><strong>{revoking.name}</strong> <span className="mono">{revoking.hint}</span></p>
          <p>{k.revokeDetail}</p>
        </Confirm>
      ) : null}
    </SettingsFrame>
  );
}

// API tokens: one's own, or those of the tenant for who may see them.
import { Button } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { createToken, revokeToken, rolesQuery, tokensQuery, type Token } from '~/api/admin';
import { useSession, type Permission } from '~/api/session';
import { Confirm } from '~/components/confirm';
import { Dialog } from '~/components/dialog';
import { Icon } from '~/components/icon';
import { Checkbox } from '~/components/mantine/checkbox';
import { Select } from '~/components/mantine/select';
import { TextInput } from '~/components/mantine/text-input';
import { Empty, Failure } from '~/components/notice';
import { Secret, Snippet } from '~/components/secret';
import { State } from '~/components/state';
import { Ago } from '~/components/time';
import { serverNow } from '~/lib/clock';
import { t } from '~/text';
import { ListTable, SettingsFrame } from './frame';
import classes from './settings.module.css';

const DAY_MS = 86_400_000;
const lifetimes: Record<string, number | undefined> = { month: 30 * DAY_MS, quarter: 90 * DAY_MS, year: 365 * DAY_MS, never: undefined };
const k = t.settings.tokensPage;

export function TokensPage() {
  const query = useQuery(tokensQuery);
  const queries = useQueryClient();
  const [creating, setCreating] = useState(false);
  const [revoking, setRevoking] = useState<Token>();
  const revoke = useMutation({
    mutationFn: (id: string) => revokeToken(id),
    onSuccess: () => {
      setRevoking(undefined);
      void queries.invalidateQueries({ queryKey: ['tokens'] });
    },
  });
  const c = k.columns;
  return (
    <SettingsFrame title={t.settings.tokens} intro={k.intro} action={<Button variant="filled" leftSection={<Icon name="plus" size={14} />} onClick={() => setCreating(true)}>{k.create}</Button>}>
      <ListTable query={query} label={t.settings.tokens} head={[c.name, c.hint, c.owner, c.scopes, c.created, c.used, c.expires, c.state, '']} empty={<Empty title={k.empty} />}>
        {(token) => (
          <tr key={token.id} data-off={token.revoked_at ? true : undefined}>
            <td className="wrap">{token.name}</td>
            <td className="mono">{token.hint}</td>
            <td>{token.login}</td>
            <td title={token.scopes.join(', ')}>{k.count(token.scopes.length)}</td>
            <td><Ago at={token.created_at} /></td>
            <td><Ago at={token.last_used_at} /></td>
            <td><Ago at={token.expires_at} none={k.neverExpires} /></td>
            <td><KeyState revoked={token.revoked_at} expires={token.expires_at} /></td>
            <td style={{ textAlign: 'right' }}>{token.revoked_at ? null : <Button size="compact-xs" onClick={() => setRevoking(token)}>{k.revoke}</Button>}</td>
          </tr>
        )}
      </ListTable>
      {creating ? <Create onClose={() => setCreating(false)} /> : null}
      {revoking ? (
        <Confirm title={k.revokeTitle} verb={k.revoke} danger busy={revoke.isPending} error={revoke.error} onConfirm={() => revoke.mutate(revoking.id)} onClose={() => setRevoking(undefined)}>
          <p><strong>{revoking.name}</strong> <span className="mono">{revoking.hint}</span></p>
          <p>{k.revokeDetail}</p>
        </Confirm>
      ) : null}
    </SettingsFrame>
  );
}

/** Whether a key or token still works, as a word. */
export function KeyState({ revoked, expires, usedUp }: { revoked: string | null | undefined; expires: string | null | undefined; usedUp?: boolean }) {
  if (revoked) return <State tone="bad">{k.revoked}</State>;
  if (expires && Date.parse(expires) < serverNow()) return <State tone="idle">{k.expired}</State>;
  if (usedUp) return <State tone="idle">{t.settings.keysPage.usedUp}</State>;
  return <State tone="ok">{k.active}</State>;
}

function Create({ onClose }: { onClose: () => void }) {
  const session = useSession();
  const queries = useQueryClient();
  const roles = useQuery({ ...rolesQuery, enabled: session.permissions.includes('user:read') });
  const [name, setName] = useState('');
  const [scopes, setScopes] = useState<Permission[]>([]);
  const [life, setLife] = useState('quarter');
  const words = new Map(roles.data?.permissions.map((one) => [one.id, one.description]));
  const create = useMutation({
    mutationFn: () => {
      const ms = lifetimes[life];
      return createToken({ name: name.trim(), scopes, expires_at: ms === undefined ? undefined : new Date(serverNow() + ms).toISOString() });
    },
    onSuccess: () => void queries.invalidateQueries({ queryKey: ['tokens'] }),
  });
  const all = scopes.length === session.permissions.length;
  return (
    <Dialog onClose={onClose} title={k.createTitle} size={780}>
      {create.data ? (
        <div className="stack loose">
          <Secret label={k.secret} value={create.data.secret} />
          <Snippet label={k.how} text={`curl -H 'Authorization: Bearer ${create.data.secret}' ${location.origin}/api/v1/devices`} />
          <div className="row" style={{ justifyContent: 'flex-end' }}><Button onClick={onClose}>{t.common.done}</Button></div>
        </div>
      ) : (
        <form
          className="stack loose"
          onSubmit={(event) => {
            event.preventDefault();
            create.mutate();
          }}
        >
          <div className="row" style={{ alignItems: 'flex-start' }}>
            <TextInput label={k.name} value={name} maxLength={100} required onChange={(e) => setName(e.currentTarget.value)} className="grow" data-autofocus />
            <Select label={k.expires} value={life} onChange={(value) => setLife(value ?? 'quarter')} data={Object.entries(k.choices).map(([value, label]) => ({ value, label }))} w={170} />
          </div>
          <fieldset className="stack" style={{ border: 0, margin: 0, padding: 0 }}>
            <legend style={{ fontWeight: 550, padding: 0, marginBottom: 6 }}>{k.scopes}</legend>
            <Checkbox label={k.all} checked={all} indeterminate={scopes.length > 0 && !all} onChange={(e) => setScopes(e.currentTarget.checked ? [...session.permissions] : [])} />
            <div className={classes.scopes}>
              {session.permissions.map((one) => (
                <Checkbox
                  key={one}
                  label={<span><span className="mono">{one}</span> <span className="dim small">{words.get(one) ?? ''}</span></span>}
                  checked={scopes.includes(one)}
                  onChange={(e) => setScopes(e.currentTarget.checked ? [...scopes, one] : scopes.filter((scope) => scope !== one))}
                />
              ))}
            </div>
          </fieldset>
          {create.error ? <Failure error={create.error} /> : null}
          <div className="row" style={{ justifyContent: 'flex-end' }}>
            <Button onClick={onClose}>{t.common.cancel}</Button>
            <Button type="submit" variant="filled" loading={create.isPending} disabled={name.trim() === '' || scopes.length === 0}>{t.common.create}</Button>
          </div>
        </form>
      )}
    </Dialog>
  );
}

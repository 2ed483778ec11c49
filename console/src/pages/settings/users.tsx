// The people of the tenant, their roles, and their one-time passwords.
import { ActionIcon, Button } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { createUser, deleteUser, resetPassword, rolesQuery, updateUser, usersQuery, type User } from '~/api/admin';
import { asProblem } from '~/api/problem';
import { useMay, useSession } from '~/api/session';
import { announce } from '~/app/announce';
import { ActionButton } from '~/components/action-button';
import { Confirm } from '~/components/confirm';
import { Dialog } from '~/components/dialog';
import { Icon } from '~/components/icon';
import { Menu } from '~/components/mantine/menu';
import { Select } from '~/components/mantine/select';
import { TextInput } from '~/components/mantine/text-input';
import { Empty, Failure } from '~/components/notice';
import { Secret } from '~/components/secret';
import { State } from '~/components/state';
import { Tag } from '~/components/tag';
import { Ago } from '~/components/time';
import { t } from '~/text';
import { ListTable, SettingsFrame } from './frame';

const u = t.settings.usersPage;
type Asking = { what: 'reset' | 'disable' | 'remove'; user: User };

export function UsersPage() {
  const c = u.columns;
  const session = useSession();
  const mayNot = useMay('user:write');
  const query = useQuery(usersQuery);
  const roles = useQuery(rolesQuery);
  const queries = useQueryClient();
  const [creating, setCreating] = useState(false);
  const [asking, setAsking] = useState<Asking>();
  const [password, setPassword] = useState<{ login: string; password: string }>();
  const fresh = () => void queries.invalidateQueries({ queryKey: ['users'] });
  const change = useMutation({
    mutationFn: ({ id, body }: { id: string; body: Parameters<typeof updateUser>[1] }) => updateUser(id, body),
    onSuccess: fresh,
    onError: (error) => announce(asProblem(error).message, 'bad'),
  });
  const act = useMutation({
    mutationFn: async ({ what, user }: Asking) => {
      if (what === 'remove') await deleteUser(user.id);
      else if (what === 'disable') await updateUser(user.id, { disabled: true });
      else {
        const answer = await resetPassword(user.id);
        setPassword({ login: answer.user.login, password: answer.one_time_password });
      }
    },
    onSuccess: () => {
      setAsking(undefined);
      fresh();
    },
  });
  const roleData = (roles.data?.roles ?? []).map((role) => ({ value: role.id, label: role.name }));
  return (
    <SettingsFrame title={t.settings.users} action={<ActionButton variant="filled" leftSection={<Icon name="plus" size={14} />} disabledReason={mayNot} onClick={() => setCreating(true)}>{u.create}</ActionButton>}>
      <ListTable query={query} label={t.settings.users} head={[c.name, c.login, c.role, c.last, c.created, c.state, '']} empty={<Empty title={u.only} />}>
        {(user) => {
          const self = user.id === session.user.id;
          return (
            <tr key={user.id} data-off={user.disabled || undefined}>
              <td>{user.display_name} {user.platform ? <Tag>{u.platform}</Tag> : null}</td>
              <td>{user.login}</td>
              <td>
                {mayNot || self ? (
                  roleData.find((role) => role.value === user.role)?.label ?? user.role
                ) : (
                  <Select aria-label={u.changeRole(user.display_name)} value={user.role} data={roleData} w={150} onChange={(role) => role && change.mutate({ id: user.id, body: { role } })} />
                )}
              </td>
              <td><Ago at={user.last_sign_in_at} /></td>
              <td><Ago at={user.created_at} /></td>
              <td>{user.disabled ? <State tone="bad">{u.disabled}</State> : user.must_change_password ? <State tone="waiting">{u.mustChange}</State> : <State tone="ok">{u.active}</State>}</td>
              <td style={{ textAlign: 'right' }}>
                {self ? <span className="dim small">{u.self}</span> : (
                  <Menu position="bottom-end">
                    <Menu.Target><ActionIcon aria-label={u.actions(user.display_name)}><Icon name="more" /></ActionIcon></Menu.Target>
                    <Menu.Dropdown>
                      {mayNot ? <Menu.Label style={{ whiteSpace: 'normal', maxWidth: 260 }}>{mayNot}</Menu.Label> : null}
                      <Menu.Item disabled={mayNot !== undefined} onClick={() => setAsking({ what: 'reset', user })}>{u.reset}</Menu.Item>
                      {user.disabled ? (
                        <Menu.Item disabled={mayNot !== undefined} onClick={() => change.mutate({ id: user.id, body: { disabled: false } })}>{u.enable}</Menu.Item>
                      ) : (
                        <Menu.Item disabled={mayNot !== undefined} onClick={() => setAsking({ what: 'disable', user })}>{u.disable}</Menu.Item>
                      )}
                      <Menu.Divider />
                      <Menu.Item color="red" disabled={mayNot !== undefined} onClick={() => setAsking({ what: 'remove', user })}>{u.remove}</Menu.Item>
                    </Menu.Dropdown>
                  </Menu>
                )}
              </td>
            </tr>
          );
        }}
      </ListTable>
      {roles.data ? (
        <section className="stack tight" aria-label={u.role}>
          {roles.data.roles.map((role) => <p key={role.id} className="small"><strong>{role.name}</strong> <span className="dim">{role.description}</span></p>)}
        </section>
      ) : null}
      {creating ? <Create roles={roleData} onClose={() => setCreating(false)} onCreated={(login, once) => { setCreating(false); setPassword({ login, password: once }); fresh(); }} /> : null}
      {password ? (
        <Dialog onClose={() => setPassword(undefined)} title={u.password}>
          <div className="stack loose">
            <p>{u.passwordHint(password.login)}</p>
            <Secret label={u.password} value={password.password} />
            <div className="row" style={{ justifyContent: 'flex-end' }}><Button onClick={() => setPassword(undefined)}>{t.common.done}</Button></div>
          </div>
        </Dialog>
      ) : null}
      {asking ? (
        <Confirm
          title={asking.what === 'reset' ? u.resetTitle : asking.what === 'disable' ? u.disableTitle : u.removeTitle}
          verb={asking.what === 'reset' ? u.reset : asking.what === 'disable' ? u.disable : u.remove}
          danger={asking.what !== 'reset'}
          typed={asking.what === 'remove' ? asking.user.login : undefined}
          busy={act.isPending}
          error={act.error}
          onConfirm={() => act.mutate(asking)}
          onClose={() => setAsking(undefined)}
        >
          <p><strong>{asking.user.display_name}</strong> {asking.user.login}</p>
          <p>{asking.what === 'reset' ? u.resetDetail : asking.what === 'disable' ? u.disableDetail : u.removeDetail}</p>
        </Confirm>
      ) : null}
    </SettingsFrame>
  );
}

function Create({ roles, onClose, onCreated }: { roles: { value: string; label: string }[]; onClose: () => void; onCreated: (login: string, password: string) => void }) {
  const [login, setLogin] = useState('');
  const [name, setName] = useState('');
  const [role, setRole] = useState<string | null>(null);
  const create = useMutation({
    mutationFn: () => createUser({ login: login.trim(), display_name: name.trim() || undefined, role: role ?? '' }),
    onSuccess: (answer) => onCreated(answer.user.login, answer.one_time_password),
  });
  return (
    <Dialog onClose={onClose} title={u.createTitle}>
      <form
        className="stack loose"
        onSubmit={(event) => {
          event.preventDefault();
          create.mutate();
        }}
      >
        <TextInput label={u.login} value={login} maxLength={100} onChange={(e) => setLogin(e.currentTarget.value)} required data-autofocus />
        <TextInput label={`${u.name} (${t.common.optional})`} value={name} maxLength={100} onChange={(e) => setName(e.currentTarget.value)} />
        <Select label={u.role} value={role} data={roles} onChange={setRole} required />
        {create.error ? <Failure error={create.error} /> : null}
        <div className="row" style={{ justifyContent: 'flex-end' }}>
          <Button onClick={onClose}>{t.common.cancel}</Button>
          <Button type="submit" variant="filled" loading={create.isPending} disabled={login.trim() === '' || role === null}>{t.common.create}</Button>
        </div>
      </form>
    </Dialog>
  );
}

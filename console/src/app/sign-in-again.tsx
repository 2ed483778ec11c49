// The sign-in ended while somebody worked: they sign in again over the page, which keeps what was typed.
import { Button } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useNavigate, useRouterState } from '@tanstack/react-router';
import { useEffect, useState } from 'react';
import { client, need } from '~/api/client';
import { renew, sessionQuery, signIn, useSession, type Session } from '~/api/session';
import { Modal } from '~/components/mantine/modal';
import { PasswordInput } from '~/components/mantine/password-input';
import { Failure } from '~/components/notice';
import { t } from '~/text';

export function SignInAgain() {
  const { user } = useSession();
  const queries = useQueryClient();
  const navigate = useNavigate();
  const here = useRouterState({ select: (state) => state.location.href });
  const [password, setPassword] = useState('');

  function leave(): void {
    queries.setQueryData(sessionQuery.queryKey, null);
    location.assign(`/sign-in?to=${encodeURIComponent(here)}`);
  }
  function go(session: Session): void {
    // Another person, or one who has to choose a password first: not over somebody else's page.
    if (session.user.id !== user.id) return leave();
    renew(queries, session);
    if (session.must_change_password) void navigate({ to: '/sign-in', search: { to: here } });
  }
  const submit = useMutation({ mutationFn: () => signIn(user.login, password), onSuccess: go });

  useEffect(() => {
    // Signed in again in another tab: that is enough.
    const look = () => {
      need(client.GET('/api/v1/session')).then(go, () => {});
    };
    addEventListener('focus', look);
    return () => removeEventListener('focus', look);
  });

  return (
    <Modal opened onClose={() => {}} withCloseButton={false} closeOnClickOutside={false} closeOnEscape={false} title={t.signIn.againTitle} size="sm" zIndex={500}>
      <form
        className="stack loose"
        onSubmit={(event) => {
          event.preventDefault();
          submit.mutate();
        }}
      >
        <p>{t.signIn.againDetail}</p>
        <input type="text" name="username" autoComplete="username" value={user.login} readOnly hidden />
        <PasswordInput size="sm" name="password" label={t.signIn.passwordOf(user.login)} value={password} onChange={(e) => setPassword(e.currentTarget.value)} autoComplete="current-password" data-autofocus required withAsterisk={false} />
        {submit.error ? <Failure error={submit.error} /> : null}
        <div className="row" style={{ justifyContent: 'flex-end' }}>
          <Button onClick={leave}>{t.signIn.leave}</Button>
          <Button type="submit" variant="filled" loading={submit.isPending}>{t.signIn.submit}</Button>
        </div>
      </form>
    </Modal>
  );
}

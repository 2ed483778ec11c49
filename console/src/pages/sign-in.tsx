// Signing in, and choosing one's own password when the present one was given for one use.
import { Button } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { getRouteApi, useNavigate } from '@tanstack/react-router';
import { useEffect, useState } from 'react';
import { sessionQuery, signIn } from '~/api/session';
import { useTitle } from '~/app/crumbs';
import { parseSignInSearch } from '~/app/search-params';
import { useChecked } from '~/app/use-search';
import { PasswordInput } from '~/components/mantine/password-input';
import { TextInput } from '~/components/mantine/text-input';
import { PasswordForm } from '~/components/password-form';
import { Failure } from '~/components/notice';
import { t } from '~/text';
import classes from './sign-in.module.css';

const route = getRouteApi('/sign-in');

export function SignInPage() {
  const { to } = useChecked(route.useSearch(), parseSignInSearch);
  const navigate = useNavigate();
  const queries = useQueryClient();
  const session = useQuery(sessionQuery);
  const [oneTime, setOneTime] = useState('');
  const mustChange = session.data?.must_change_password === true;
  useTitle(mustChange ? t.signIn.changeTitle : t.signIn.title);

  const ready = session.data != null && !mustChange;
  useEffect(() => {
    if (ready) void navigate({ to: to ?? '/devices', replace: true });
  }, [ready, to, navigate]);

  return (
    <main className={classes.page}>
      <div className={classes.panel}>
        <div className="row"><img src="/icon.svg" width="26" height="26" alt="" /><strong style={{ fontSize: 16 }}>Headend</strong></div>
        {mustChange ? (
          <>
            <div className="stack tight"><h1>{t.signIn.changeTitle}</h1><p className="dim">{t.signIn.changeDetail}</p></div>
            <PasswordForm
              login={session.data?.user.login ?? ''}
              current={oneTime || undefined}
              currentLabel={t.signIn.current}
              onChanged={() => void queries.fetchQuery({ ...sessionQuery, staleTime: 0 })}
            />
          </>
        ) : (
          <SignInForm onPassword={setOneTime} />
        )}
      </div>
    </main>
  );
}

function SignInForm({ onPassword }: { onPassword: (password: string) => void }) {
  const queries = useQueryClient();
  const [login, setLogin] = useState('');
  const [password, setPassword] = useState('');
  const submit = useMutation({
    mutationFn: () => signIn(login.trim(), password),
    onSuccess: (session) => {
      onPassword(password);
      queries.setQueryData(sessionQuery.queryKey, session);
    },
  });
  return (
    <form
      className="stack loose"
      onSubmit={(event) => {
        event.preventDefault();
        submit.mutate();
      }}
    >
      <h1>{t.signIn.title}</h1>
      <div className="stack">
        <TextInput size="sm" name="username" label={t.signIn.login} value={login} onChange={(e) => setLogin(e.currentTarget.value)} autoComplete="username" autoFocus required withAsterisk={false} />
        <PasswordInput size="sm" name="password" label={t.signIn.password} value={password} onChange={(e) => setPassword(e.currentTarget.value)} autoComplete="current-password" required withAsterisk={false} />
      </div>
      {submit.error ? <Failure error={submit.error} /> : null}
      <Button type="submit" variant="filled" size="sm" loading={submit.isPending}>{t.signIn.submit}</Button>
      <p className="dim small">{t.signIn.firstStart}</p>
    </form>
  );
}

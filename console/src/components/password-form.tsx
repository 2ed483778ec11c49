// A new password of one's own: long enough, typed twice.
import { Button } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { changePassword } from '~/api/session';
import { announce } from '~/app/announce';
import { PasswordInput } from '~/components/mantine/password-input';
import { t } from '~/text';
import { Failure } from './notice';

const PASSWORD_CHARS_MIN = 12;
const PASSWORD_CHARS_MAX = 256;

interface Props {
  login: string;
  /** The present password when it was just typed: it is then not asked for again. */
  current?: string;
  currentLabel: string;
  onChanged: () => void;
}

export function PasswordForm({ login, current, currentLabel, onChanged }: Props) {
  const [old, setOld] = useState('');
  const [next, setNext] = useState('');
  const [again, setAgain] = useState('');
  const submit = useMutation({
    mutationFn: () => changePassword(current ?? old, next),
    onSuccess: () => {
      setOld('');
      setNext('');
      setAgain('');
      announce(t.signIn.changed);
      onChanged();
    },
  });
  const short = next.length > 0 && next.length < PASSWORD_CHARS_MIN;
  const different = again.length > 0 && again !== next;
  const ready = next.length >= PASSWORD_CHARS_MIN && again === next && (current !== undefined || old !== '');
  return (
    <form
      className="stack loose"
      onSubmit={(event) => {
        event.preventDefault();
        if (ready) submit.mutate();
      }}
    >
      <div className="stack">
        <input type="text" name="username" autoComplete="username" value={login} readOnly hidden />
        {current === undefined ? (
          <PasswordInput size="sm" label={currentLabel} value={old} onChange={(e) => setOld(e.currentTarget.value)} autoComplete="current-password" />
        ) : null}
        <PasswordInput
          size="sm"
          label={t.signIn.next}
          description={t.signIn.nextHint}
          error={short ? t.signIn.tooShort(next.length) : undefined}
          value={next}
          maxLength={PASSWORD_CHARS_MAX}
          onChange={(e) => setNext(e.currentTarget.value)}
          autoComplete="new-password"
          autoFocus={current !== undefined}
        />
        <PasswordInput
          size="sm"
          label={t.signIn.again}
          error={different ? t.signIn.different : undefined}
          value={again}
          onChange={(e) => setAgain(e.currentTarget.value)}
          autoComplete="new-password"
        />
      </div>
      {submit.error ? <Failure error={submit.error} /> : null}
      <div><Button type="submit" variant="filled" size="sm" loading={submit.isPending} disabled={!ready}>{t.signIn.change}</Button></div>
    </form>
  );
}

// One's own account: who one is here, what one may do, the password.
import { useQueryClient } from '@tanstack/react-query';
import { useSession } from '~/api/session';
import { PasswordForm } from '~/components/password-form';
import { Tag } from '~/components/tag';
import { Ago } from '~/components/time';
import { t } from '~/text';
import { Facts, SettingsFrame } from './frame';
import classes from './settings.module.css';

export function AccountPage() {
  const a = t.settings.accountPage;
  const session = useSession();
  const queries = useQueryClient();
  return (
    <SettingsFrame title={t.settings.account}>
      <Facts
        facts={[
          [a.login, session.user.login],
          [a.name, session.user.display_name],
          [a.role, session.user.role],
          [a.platform, session.user.platform ? t.common.yes : undefined],
          [a.tenant, <>{session.tenant.name} <span className="dim mono">{session.tenant.id}</span></>],
          [a.ends, session.expires_at ? <><Ago at={session.expires_at} /> <span className="dim">{a.endsHint}</span></> : undefined],
          [a.permissions, <span key="p" className="row tight wrapped">{session.permissions.map((one) => <Tag key={one}>{one}</Tag>)}</span>],
        ]}
      />
      <section className={`stack ${classes.narrow}`} aria-label={a.password}>
        <h2>{a.password}</h2>
        <PasswordForm login={session.user.login} currentLabel={t.signIn.currentAgain} onChanged={() => void queries.invalidateQueries({ queryKey: ['session'] })} />
      </section>
    </SettingsFrame>
  );
}

// The buttons at the foot of the rail; what opens from them comes later (`rail-menus`).
import type { ComponentProps } from 'react';
import { useSession } from '~/api/session';
import { Icon } from '~/components/icon';
import { t } from '~/text';
import classes from './shell.module.css';

/** What a menu gives its target is passed on. */
type Target = ComponentProps<'button'> & { small: boolean };

export function TenantButton({ small, ...target }: Target) {
  const session = useSession();
  return (
    <button type="button" {...target} className={classes.footButton} aria-label={t.frame.tenantNow(session.tenant.name)} title={session.tenant.name}>
      <Icon name="building" />
      {small ? null : <span className="ellipsis">{session.tenant.name}</span>}
    </button>
  );
}

export function AccountButton({ small, ...target }: Target) {
  const session = useSession();
  const place = session.tenants.length > 1 ? session.user.role : session.tenant.name;
  return (
    <button type="button" {...target} className={classes.footButton} aria-label={small ? t.frame.account(session.user.display_name) : undefined} title={session.user.login}>
      <Icon name="user" />
      {small ? null : (
        <span className={classes.who}>
          <span className="ellipsis">{session.user.display_name}</span>
          <span className="ellipsis dim" style={{ fontSize: 12 }}>{place}</span>
          <span className="sr-only">{t.frame.accountOf}</span>
        </span>
      )}
    </button>
  );
}

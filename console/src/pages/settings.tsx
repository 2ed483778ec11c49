// The settings: a list of sections at the left, the chosen one beside it.
import { Link, Outlet } from '@tanstack/react-router';
import { useSession, type Permission } from '~/api/session';
import { t } from '~/text';
import classes from './settings/settings.module.css';

const sections: { to: string; name: string; needs?: Permission }[] = [
  { to: '/settings/account', name: t.settings.account },
  { to: '/settings/appearance', name: t.settings.appearance },
  { to: '/settings/tokens', name: t.settings.tokens, needs: 'token:write' },
  { to: '/settings/setup-keys', name: t.settings.setupKeys, needs: 'setup-key:read' },
  { to: '/settings/certificates', name: t.settings.certificates, needs: 'certificate:read' },
  { to: '/settings/users', name: t.settings.users, needs: 'user:read' },
  { to: '/settings/tenants', name: t.settings.tenants, needs: 'platform:write' },
  { to: '/settings/system', name: t.settings.system, needs: 'system:read' },
];

export function SettingsPage() {
  const session = useSession();
  return (
    <div className={classes.frame}>
      <nav className={classes.nav} aria-label={t.settings.sections}>
        {sections
          .filter((section) => section.needs === undefined || session.permissions.includes(section.needs))
          .map((section) => <Link key={section.to} to={section.to} className={classes.link}>{section.name}</Link>)}
      </nav>
      <div className={classes.content}><Outlet /></div>
    </div>
  );
}

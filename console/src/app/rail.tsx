// The left rail: what there is and what this person may see; tenant and account at the foot.
import { ActionIcon } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { lazy, Suspense, useState, type ReactNode } from 'react';
import { useSession, type Permission } from '~/api/session';
import { Icon, type IconName } from '~/components/icon';
import { Tooltip } from '~/components/tooltip';
import { t } from '~/text';
import { AccountButton, TenantButton } from './rail-buttons';
import classes from './shell.module.css';

const AccountMenu = lazy(() => import('./rail-menus').then((m) => ({ default: m.AccountMenu })));
const TenantMenu = lazy(() => import('./rail-menus').then((m) => ({ default: m.TenantMenu })));

interface Place {
  to: string;
  icon: IconName;
  name: string;
  needs?: Permission;
}

export const places: Place[] = [
  { to: '/devices', icon: 'devices', name: t.frame.devices, needs: 'device:read' },
  { to: '/operations', icon: 'operations', name: t.frame.operations, needs: 'operation:read' },
  { to: '/files', icon: 'files', name: t.frame.files, needs: 'file:read' },
  { to: '/events', icon: 'events', name: t.frame.events, needs: 'event:read' },
  { to: '/doctor', icon: 'doctor', name: t.frame.doctor, needs: 'doctor:read' },
  { to: '/settings', icon: 'settings', name: t.frame.settings },
];

export function Rail({ small, onToggle }: { small: boolean; onToggle: () => void }) {
  const session = useSession();
  // Kept here: a menu that was asked for before it had come opens when it has.
  const [menu, setMenu] = useState<'tenant' | 'account'>();
  const open = (which: 'tenant' | 'account') => (to: boolean) => setMenu(to ? which : undefined);
  return (
    <div className={classes.rail}>
      <div className="row" style={{ justifyContent: 'space-between', paddingRight: small ? 0 : 8 }}>
        <Link to="/devices" className={classes.brand} aria-label={t.frame.home}>
          <img src="/icon.svg" width="20" height="20" alt="" />
          {small ? null : 'Headend'}
        </Link>
      </div>
      <nav className={classes.nav} aria-label={t.frame.navigation}>
        {places
          .filter((place) => place.needs === undefined || session.permissions.includes(place.needs))
          .map((place) => (
            <Hint key={place.to} label={place.name} shown={small}>
              <Link to={place.to} className={classes.link} activeOptions={{ includeSearch: false }} aria-label={place.name}>
                <Icon name={place.icon} />
                {small ? null : place.name}
              </Link>
            </Hint>
          ))}
      </nav>
      <div className={classes.foot}>
        {session.tenants.length > 1 ? <Suspense fallback={<TenantButton small={small} onClick={() => setMenu('tenant')} />}><TenantMenu small={small} opened={menu === 'tenant'} onChange={open('tenant')} /></Suspense> : null}
        <Suspense fallback={<AccountButton small={small} onClick={() => setMenu('account')} />}><AccountMenu small={small} opened={menu === 'account'} onChange={open('account')} /></Suspense>
        <div className="row" style={{ justifyContent: small ? 'center' : 'flex-end' }}>
          <Tooltip label={small ? t.frame.railWide : t.frame.railSmall} side="right">
            <ActionIcon aria-label={small ? t.frame.railWide : t.frame.railSmall} aria-expanded={!small} onClick={onToggle}>
              <Icon name="rail" />
            </ActionIcon>
          </Tooltip>
        </div>
      </div>
    </div>
  );
}

function Hint({ label, shown, children }: { label: string; shown: boolean; children: ReactNode }) {
  return (
    <Tooltip label={label} side="right" disabled={!shown}>
      <span>{children}</span>
    </Tooltip>
  );
}

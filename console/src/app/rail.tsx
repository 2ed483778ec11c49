// The left rail: what there is and what this person may see; tenant and account at the foot.
import { ActionIcon, Menu, Tooltip, useComputedColorScheme, useMantineColorScheme } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { Link, useNavigate } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import { tenant } from '~/api/client';
import { asProblem } from '~/api/problem';
import { sessionQuery, signOut, useSession, type Permission } from '~/api/session';
import { Icon, type IconName } from '~/components/icon';
import { forgetStaged } from '~/pages/device/staging';
import { t } from '~/text';
import { announce } from './announce';
import classes from './shell.module.css';

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
        {session.tenants.length > 1 ? <TenantMenu small={small} /> : null}
        <AccountMenu small={small} />
        <div className="row" style={{ justifyContent: small ? 'center' : 'flex-end' }}>
          <Tooltip label={small ? t.frame.railWide : t.frame.railSmall} position="right">
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
    <Tooltip label={label} position="right" disabled={!shown}>
      <span>{children}</span>
    </Tooltip>
  );
}

function TenantMenu({ small }: { small: boolean }) {
  const session = useSession();
  const queries = useQueryClient();
  const navigate = useNavigate();
  return (
    <Menu position="right-end" width={240}>
      <Menu.Target>
        <button type="button" className={classes.footButton} aria-label={t.frame.tenantNow(session.tenant.name)} title={session.tenant.name}>
          <Icon name="building" />
          {small ? null : <span className="ellipsis">{session.tenant.name}</span>}
        </button>
      </Menu.Target>
      <Menu.Dropdown mah={420} style={{ overflow: 'auto' }}>
        <Menu.Label>{t.frame.tenants}</Menu.Label>
        {session.tenants.map((one) => (
          <Menu.Item
            key={one.id}
            leftSection={<Icon name={one.id === session.tenant.id ? 'check' : 'building'} />}
            onClick={async () => {
              if (one.id === session.tenant.id) return;
              tenant.set(one.id);
              await queries.fetchQuery({ ...sessionQuery, staleTime: 0 });
              queries.removeQueries({ predicate: (query) => query.queryKey[0] !== 'session' });
              await navigate({ to: '/devices', search: {} });
            }}
          >
            {one.name} <span className="dim mono">{one.id}</span>
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  );
}

function AccountMenu({ small }: { small: boolean }) {
  const session = useSession();
  const queries = useQueryClient();
  const navigate = useNavigate();
  const { setColorScheme } = useMantineColorScheme();
  const colorScheme = useComputedColorScheme('light');
  const place = session.tenants.length > 1 ? session.user.role : session.tenant.name;
  return (
    <Menu position="right-end" width={220}>
      <Menu.Target>
        <button type="button" className={classes.footButton} aria-label={small ? t.frame.account(session.user.display_name) : undefined} title={session.user.login}>
          <Icon name="user" />
          {small ? null : (
            <span className={classes.who}>
              <span className="ellipsis">{session.user.display_name}</span>
              <span className="ellipsis dim" style={{ fontSize: 12 }}>{place}</span>
              <span className="sr-only">{t.frame.accountOf}</span>
            </span>
          )}
        </button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>{session.user.login}</Menu.Label>
        <Menu.Item leftSection={<Icon name="user" />} onClick={() => navigate({ to: '/settings/account' })}>{t.frame.accountSettings}</Menu.Item>
        <Menu.Item
          leftSection={<Icon name={colorScheme === 'dark' ? 'sun' : 'moon'} />}
          onClick={() => setColorScheme(colorScheme === 'dark' ? 'light' : 'dark')}
        >
          {colorScheme === 'dark' ? t.frame.light : t.frame.dark}
        </Menu.Item>
        <Menu.Divider />
        <Menu.Item
          leftSection={<Icon name="signout" />}
          onClick={async () => {
            try {
              await signOut(queries);
              forgetStaged();
              queries.setQueryData(sessionQuery.queryKey, null);
              await navigate({ to: '/sign-in', search: {} });
            } catch (error) {
              announce(asProblem(error).message, 'bad');
            }
          }}
        >
          {t.frame.signOut}
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}

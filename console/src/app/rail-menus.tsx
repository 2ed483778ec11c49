// The menus at the foot of the rail: which tenant one acts in, and who one is. They come after the first load.
import { useComputedColorScheme, useMantineColorScheme } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { tenant } from '~/api/client';
import { asProblem } from '~/api/problem';
import { sessionQuery, signOut, useSession } from '~/api/session';
import { Icon } from '~/components/icon';
import { Menu } from '~/components/mantine/menu';
import { forgetStaged } from '~/pages/device/staging';
import { t } from '~/text';
import { announce } from './announce';
import { AccountButton, TenantButton } from './rail-buttons';

interface Props {
  small: boolean;
  opened: boolean;
  onChange: (opened: boolean) => void;
}

export function TenantMenu({ small, opened, onChange }: Props) {
  const session = useSession();
  const queries = useQueryClient();
  const navigate = useNavigate();
  return (
    <Menu position="right-end" width={240} opened={opened} onChange={onChange}>
      <Menu.Target>
        <TenantButton small={small} />
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

export function AccountMenu({ small, opened, onChange }: Props) {
  const session = useSession();
  const queries = useQueryClient();
  const navigate = useNavigate();
  const { setColorScheme } = useMantineColorScheme();
  const colorScheme = useComputedColorScheme('light');
  return (
    <Menu position="right-end" width={220} opened={opened} onChange={onChange}>
      <Menu.Target>
        <AccountButton small={small} />
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

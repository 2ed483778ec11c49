// Every address of the console. A page is loaded when it is first opened; its search parameters are checked here.
import type { QueryClient } from '@tanstack/react-query';
import { createRootRouteWithContext, createRoute, createRouter, lazyRouteComponent, Outlet, redirect } from '@tanstack/react-router';
import { sessionQuery } from '~/api/session';
import { parseCertificatesSearch, parseDevicesSearch, parseDeviceSearch, parseDoctorSearch, parseEventsSearch, parseFilesSearch, parseOperationsSearch, parseSignInSearch } from './search-params';
import { NotFound, PageFailure } from './page-failure';
import { Shell } from './shell';

interface Context {
  queries: QueryClient;
}

const root = createRootRouteWithContext<Context>()({ component: Outlet });

const signIn = createRoute({
  getParentRoute: () => root,
  path: '/sign-in',
  validateSearch: parseSignInSearch,
  component: lazyRouteComponent(() => import('~/pages/sign-in'), 'SignInPage'),
});

/** Everything below needs a person who has signed in and has a password of their own. */
const inside = createRoute({
  getParentRoute: () => root,
  id: 'inside',
  component: Shell,
  beforeLoad: async ({ context, location }) => {
    const session = await context.queries.ensureQueryData(sessionQuery);
    if (!session || session.must_change_password) {
      throw redirect({ to: '/sign-in', search: { to: location.href === '/' ? undefined : location.href } });
    }
  },
});

const home = createRoute({
  getParentRoute: () => inside,
  path: '/',
  beforeLoad: () => {
    throw redirect({ to: '/devices', replace: true });
  },
});

const devices = createRoute({
  getParentRoute: () => inside,
  path: '/devices',
  validateSearch: parseDevicesSearch,
  component: lazyRouteComponent(() => import('~/pages/devices'), 'DevicesPage'),
});

const device = createRoute({
  getParentRoute: () => inside,
  path: '/devices/$deviceId',
  validateSearch: parseDeviceSearch,
  component: lazyRouteComponent(() => import('~/pages/device'), 'DevicePage'),
});

const matches = createRoute({
  getParentRoute: () => inside,
  path: '/devices/matches',
  component: lazyRouteComponent(() => import('~/pages/matches'), 'MatchesPage'),
});

const operations = createRoute({
  getParentRoute: () => inside,
  path: '/operations',
  validateSearch: parseOperationsSearch,
  component: lazyRouteComponent(() => import('~/pages/operations'), 'OperationsPage'),
});

const operation = createRoute({
  getParentRoute: () => inside,
  path: '/operations/$operationId',
  component: lazyRouteComponent(() => import('~/pages/operation'), 'OperationPage'),
});

const files = createRoute({
  getParentRoute: () => inside,
  path: '/files',
  validateSearch: parseFilesSearch,
  component: lazyRouteComponent(() => import('~/pages/files'), 'FilesPage'),
});

const events = createRoute({
  getParentRoute: () => inside,
  path: '/events',
  validateSearch: parseEventsSearch,
  component: lazyRouteComponent(() => import('~/pages/events'), 'EventsPage'),
});

const doctor = createRoute({
  getParentRoute: () => inside,
  path: '/doctor',
  validateSearch: parseDoctorSearch,
  component: lazyRouteComponent(() => import('~/pages/doctor'), 'DoctorPage'),
});

const settings = createRoute({
  getParentRoute: () => inside,
  path: '/settings',
  component: lazyRouteComponent(() => import('~/pages/settings'), 'SettingsPage'),
});

const settingsHome = createRoute({
  getParentRoute: () => settings,
  path: '/',
  beforeLoad: () => {
    throw redirect({ to: '/settings/account', replace: true });
  },
});

const settingsPages = [
  createRoute({ getParentRoute: () => settings, path: 'account', component: lazyRouteComponent(() => import('~/pages/settings/account'), 'AccountPage') }),
  createRoute({ getParentRoute: () => settings, path: 'appearance', component: lazyRouteComponent(() => import('~/pages/settings/appearance'), 'AppearancePage') }),
  createRoute({ getParentRoute: () => settings, path: 'tokens', component: lazyRouteComponent(() => import('~/pages/settings/tokens'), 'TokensPage') }),
  createRoute({ getParentRoute: () => settings, path: 'setup-keys', component: lazyRouteComponent(() => import('~/pages/settings/setup-keys'), 'SetupKeysPage') }),
  createRoute({ getParentRoute: () => settings, path: 'certificates', validateSearch: parseCertificatesSearch, component: lazyRouteComponent(() => import('~/pages/settings/certificates'), 'CertificatesPage') }),
  createRoute({ getParentRoute: () => settings, path: 'users', component: lazyRouteComponent(() => import('~/pages/settings/users'), 'UsersPage') }),
  createRoute({ getParentRoute: () => settings, path: 'tenants', component: lazyRouteComponent(() => import('~/pages/settings/tenants'), 'TenantsPage') }),
  createRoute({ getParentRoute: () => settings, path: 'system', component: lazyRouteComponent(() => import('~/pages/settings/system'), 'SystemPage') }),
] as const;

/** Whatever else: said within the frame, so that one can go on from there. */
const nowhere = createRoute({ getParentRoute: () => inside, path: '$', component: NotFound });

const tree = root.addChildren([
  signIn,
  inside.addChildren([home, devices, matches, device, operations, operation, files, events, doctor, nowhere, settings.addChildren([settingsHome, ...settingsPages])]),
]);

export function makeRouter(queries: QueryClient) {
  return createRouter({ routeTree: tree, context: { queries }, defaultPreload: 'intent', defaultPreloadStaleTime: 0, scrollRestoration: false, search: { strict: true }, defaultErrorComponent: PageFailure, defaultNotFoundComponent: NotFound });
}

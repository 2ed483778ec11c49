// The frame around every page of a signed-in person: rail, top bar, content; and what runs while it is shown
// (the live stream, the keyboard).
import { useQueryClient } from '@tanstack/react-query';
import { Outlet } from '@tanstack/react-router';
import { lazy, Suspense, useEffect, useState } from 'react';
import { tenant } from '~/api/client';
import { startLive } from '~/api/live';
import { connectLiveQueries } from '~/api/live-queries';
import { useExpired, useRenewals, useSession } from '~/api/session';
import { t } from '~/text';
import { useGlobalKeys } from './keyboard';
import { Rail } from './rail';
import { StaleNotice } from './stale-notice';
import { TopBar } from './top-bar';
import classes from './shell.module.css';

const Palette = lazy(() => import('./palette').then((m) => ({ default: m.Palette })));
const Shortcuts = lazy(() => import('./shortcuts').then((m) => ({ default: m.Shortcuts })));

const SignInAgain = lazy(() => import('./sign-in-again').then((m) => ({ default: m.SignInAgain })));

const RAIL_KEY = 'headend.rail';

export function Shell() {
  const session = useSession();
  const queries = useQueryClient();
  const [small, setSmall] = useState(() => localStorage.getItem(RAIL_KEY) === 'small');
  const [dialog, setDialog] = useState<'palette' | 'shortcuts'>();
  const expired = useExpired();
  const renewals = useRenewals();
  const permissions = session.permissions.join(' ');
  const scope = `${session.user.id}.${session.tenant.id}`;

  useEffect(() => {
    const disconnect = connectLiveQueries(queries);
    const stop = permissions.split(' ').includes('event:read') ? startLive('/api/v1/events/stream', scope, tenant.get()) : undefined;
    return () => {
      stop?.();
      disconnect();
    };
  }, [queries, scope, permissions, renewals]);

  useGlobalKeys({ palette: () => setDialog('palette'), shortcuts: () => setDialog('shortcuts') });

  return (
    <div className={classes.frame} data-small={small || undefined}>
      <a className={classes.skip} href="#content">{t.frame.skip}</a>
      <Rail
        small={small}
        onToggle={() => {
          localStorage.setItem(RAIL_KEY, small ? 'wide' : 'small');
          setSmall(!small);
        }}
      />
      <TopBar openPalette={() => setDialog('palette')} />
      <main id="content" className={classes.content} tabIndex={-1}>
        <StaleNotice />
        <Outlet />
      </main>
      <Suspense>
        {dialog === 'palette' ? <Palette onClose={() => setDialog(undefined)} /> : null}
        {expired ? <SignInAgain /> : null}
        {dialog === 'shortcuts' ? <Shortcuts onClose={() => setDialog(undefined)} /> : null}
      </Suspense>
    </div>
  );
}

// One device: who it is and whether it can be talked to, then what it says, does, and what happened to it.
import { Skeleton } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { getRouteApi, Link, useNavigate } from '@tanstack/react-router';
import { lazy, Suspense, useEffect, useState } from 'react';
import { deviceQuery } from '~/api/devices';
import { asProblem } from '~/api/problem';
import { useTitle } from '~/app/crumbs';
import { isEditable } from '~/app/keyboard';
import { deviceTabs, parseDeviceSearch, type DeviceTab } from '~/app/search-params';
import { useChecked } from '~/app/use-search';
import { Tabs } from '~/components/mantine/tabs';
import { Empty, Failure } from '~/components/notice';
import { isUuid } from '~/lib/uuid';
import { t } from '~/text';
import { Header } from './device/header';
import { useStaged } from './device/staging';
import { Timeline } from './device/timeline';
import classes from './device/device.module.css';

const Overview = lazy(() => import('./device/overview').then((m) => ({ default: m.Overview })));
const Model = lazy(() => import('./device/model').then((m) => ({ default: m.Model })));
const Commands = lazy(() => import('./device/commands').then((m) => ({ default: m.Commands })));
const Operations = lazy(() => import('./device/operations').then((m) => ({ default: m.DeviceOperations })));
const Sessions = lazy(() => import('./device/sessions').then((m) => ({ default: m.Sessions })));
const ReachPanel = lazy(() => import('./device/reach').then((m) => ({ default: m.ReachPanel })));
const Tray = lazy(() => import('./device/tray').then((m) => ({ default: m.Tray })));

const route = getRouteApi('/inside/devices/$deviceId');
const TIMELINE_KEY = 'headend.timeline';

export function DevicePage() {
  const { deviceId } = route.useParams();
  return isUuid(deviceId) ? <KnownDevice deviceId={deviceId} /> : <NoDevice id={deviceId} />;
}

/** Nothing has this id; perhaps it is a serial number or the like. */
function NoDevice({ id }: { id: string }) {
  useTitle(t.device.notFoundTitle);
  return (
    <Empty title={t.device.notFoundTitle} level={1} action={<><Link to="/devices">{t.frame.toDevices}</Link>{isUuid(id) ? null : <Link to="/devices" search={{ q: id }}>{t.device.lookFor(id)}</Link>}</>}>
      <p>{isUuid(id) ? t.device.notFound : t.device.notAnId(id)}</p>
    </Empty>
  );
}

function KnownDevice({ deviceId }: { deviceId: string }) {
  const search = useChecked(route.useSearch(), parseDeviceSearch);
  const navigate = useNavigate();
  const device = useQuery(deviceQuery(deviceId));
  const staging = useStaged(deviceId);
  const [timeline, setTimeline] = useState(() => localStorage.getItem(TIMELINE_KEY) !== 'closed');
  const tab: DeviceTab = search.tab ?? 'overview';
  useTitle(device.data?.name);

  const show = (next: DeviceTab) =>
    void navigate({ to: '/devices/$deviceId', params: { deviceId }, search: (old: object) => ({ ...old, tab: next === 'overview' ? undefined : next, session: undefined }), replace: true });
  const toggleTimeline = () => {
    localStorage.setItem(TIMELINE_KEY, timeline ? 'closed' : 'open');
    setTimeline(!timeline);
  };

  useEffect(() => {
    function onKey(event: KeyboardEvent): void {
      if (event.ctrlKey || event.metaKey || event.altKey || isEditable(event.target) || document.querySelector('[role="dialog"]')) return;
      const next = deviceTabs[Number(event.key) - 1];
      if (next) show(next);
      else if (event.key === 't') toggleTimeline();
      else return;
      event.preventDefault();
    }
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  });

  if (device.error && !device.data) {
    return asProblem(device.error).status === 404 ? (
      <NoDevice id={deviceId} />
    ) : (
      <div style={{ padding: 16 }}><Failure error={device.error} retry={() => void device.refetch()} /></div>
    );
  }

  return (
    <div className={classes.page} data-timeline={timeline || undefined}>
      <div className={classes.main}>
        {device.data ? <Header device={device.data} timeline={timeline} onTimeline={toggleTimeline} /> : <HeaderSkeleton />}
        <Tabs value={tab} onChange={(value) => value && show(value as DeviceTab)} className={classes.tabs}>
          <Tabs.List aria-label={t.device.tabsLabel} px={8}>
            {deviceTabs.map((one) => <Tabs.Tab key={one} value={one}>{t.device.tabs[one]}</Tabs.Tab>)}
          </Tabs.List>
          <Tabs.Panel value={tab} className={classes.panel}>
            {device.data ? (
              <Suspense>
                {tab === 'overview' ? <Overview device={device.data} staging={staging} /> : null}
                {tab === 'model' ? <Model device={device.data} staging={staging} path={search.path} find={search.find} /> : null}
                {tab === 'commands' ? <Commands device={device.data} path={search.path} /> : null}
                {tab === 'operations' ? <Operations device={device.data} /> : null}
                {tab === 'sessions' ? <Sessions device={device.data} session={search.session} /> : null}
                {tab === 'reach' ? <ReachPanel device={device.data} /> : null}
              </Suspense>
            ) : (
              <div className="stack" style={{ padding: 16 }}>
                {Array.from({ length: 8 }, (_, i) => <Skeleton key={i} height={12} width={`${40 + ((i * 23) % 40)}%`} />)}
              </div>
            )}
          </Tabs.Panel>
        </Tabs>
        {device.data ? <Suspense><Tray device={device.data} staging={staging} /></Suspense> : null}
      </div>
      {timeline ? <Timeline deviceId={deviceId} onClose={toggleTimeline} /> : null}
    </div>
  );
}

function HeaderSkeleton() {
  return (
    <div className={classes.header} aria-busy="true">
      <Skeleton height={20} width={220} />
      <Skeleton height={12} width={420} mt={12} mb={6} />
    </div>
  );
}

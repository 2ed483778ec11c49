// What happened to this device, newest first, beside everything else.
import { ActionIcon, Button, Skeleton } from '@mantine/core';
import { useInfiniteQuery } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import { Link } from '@tanstack/react-router';
import { timelineQuery } from '~/api/devices';
import { Icon } from '~/components/icon';
import { Failure } from '~/components/notice';
import { Shape } from '~/components/state';
import { Ago } from '~/components/time';
import { eventTone, telling } from '~/components/event-tone';
import { Tooltip } from '~/components/tooltip';
import { serverNow } from '~/lib/clock';
import { t } from '~/text';
import { story, type Told } from './story';
import classes from './device.module.css';

const EVERYTHING: string[] = [];

export function Timeline({ deviceId, onClose }: { deviceId: string; onClose: () => void }) {
  const [all, setAll] = useState(false);
  const list = useInfiniteQuery(timelineQuery(deviceId, all ? EVERYTHING : telling));
  const events = list.data?.pages.flatMap((page) => page.items);
  const told = useMemo(() => (all ? (events ?? []).map((event) => ({ event, by: event.actor?.name })) : story(events ?? [])), [all, list.data]);
  return (
    <aside className={classes.timeline} aria-label={t.device.timeline}>
      <div className={classes.timelineHead}>
        <h2 className="grow">{t.device.timeline}</h2>
        <Tooltip label={t.device.timelineAllHint}>
          <Button size="compact-xs" variant="subtle" aria-pressed={all} onClick={() => setAll(!all)}>{all ? t.device.timelineLess : t.device.timelineAll}</Button>
        </Tooltip>
        <Tooltip label={t.device.timelineHide}>
          <ActionIcon aria-label={t.device.timelineHide} onClick={onClose}><Icon name="close" size={14} /></ActionIcon>
        </Tooltip>
      </div>
      <ol className={classes.timelineList}>
        {list.error ? <li style={{ padding: 10 }}><Failure error={list.error} retry={() => void list.refetch()} /></li> : null}
        {!events && !list.error ? Array.from({ length: 8 }, (_, i) => <li key={i} className={classes.entry}><Skeleton circle height={9} /><Skeleton height={10} width={`${60 + ((i * 13) % 35)}%`} /></li>) : null}
        {events?.length === 0 ? <li className="dim" style={{ padding: '10px 14px' }}>{t.device.timelineEmpty}</li> : null}
        {byDay(told).map(([day, entries]) => (
          <li key={day}>
            <div className={classes.day}>{day}</div>
            {entries.map((one) => <Entry key={one.event.cursor} told={one} />)}
          </li>
        ))}
        {list.hasNextPage ? (
          <li style={{ padding: '8px 14px' }}>
            <Button size="compact-sm" loading={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>{t.common.showOlder}</Button>
          </li>
        ) : null}
      </ol>
    </aside>
  );
}

function Entry({ told: { event, by } }: { told: Told }) {
  const summary = event.operation_id ? (
    <Link to="/operations/$operationId" params={{ operationId: event.operation_id }} style={{ color: 'inherit' }}>{event.summary}</Link>
  ) : (
    event.summary
  );
  return (
    <div className={classes.entry} title={event.kind}>
      <Shape tone={eventTone(event)} />
      <div>
        <div className="wrap">{summary}</div>
        <div className={classes.when}>
          <Ago at={event.at} />
          {by ? `, ${by}` : ''}
        </div>
      </div>
    </div>
  );
}

function byDay(events: Told[]): [string, Told[]][] {
  const today = new Date(serverNow()).toDateString();
  const days = new Map<string, Told[]>();
  for (const one of events) {
    const date = new Date(one.event.at);
    const name = date.toDateString() === today ? t.device.today : date.toLocaleDateString('en', { weekday: 'short', day: 'numeric', month: 'short', year: 'numeric' });
    const list = days.get(name);
    if (list) list.push(one);
    else days.set(name, [one]);
  }
  return [...days];
}

// The band above a device: name, one status word with its evidence time, identities to copy, the main actions.
import { ActionIcon } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { lazy, Suspense, useState } from 'react';
import { modelQuery, type DeviceDetail } from '~/api/devices';
import { useMay } from '~/api/session';
import { useActions, type Action } from '~/app/finder';
import { ActionButton } from '~/components/action-button';
import { Copyable } from '~/components/copy';
import { Icon } from '~/components/icon';
import { Menu } from '~/components/mantine/menu';
import { Evidence, Expected, PresenceState } from '~/components/presence';
import { Tag } from '~/components/tag';
import { Tooltip } from '~/components/tooltip';
import { t } from '~/text';
import { ownNames } from './names';
import { useReadNow } from './read-now';
import { useWake } from './wake';
import classes from './device.module.css';

const Dialogs = lazy(() => import('./dialogs').then((m) => ({ default: m.Dialogs })));
export type DialogName = 'reboot' | 'edit' | 'readmit' | 'certificate' | 'send' | 'fetch' | 'merge' | 'remove';

/** What one reading of the whole device asks for. */
const EVERYTHING = ['Device.'];

export function Header({ device, timeline, onTimeline }: { device: DeviceDetail; timeline: boolean; onTimeline: () => void }) {
  const d = t.device;
  const navigate = useNavigate();
  const [dialog, setDialog] = useState<DialogName>();
  const mayRun = useMay('operation:run');
  const mayWrite = useMay('device:write');
  const root = useQuery(modelQuery(device.id, 'Device.'));
  const wake = useWake(device.id);
  const read = useReadNow(device.id, EVERYTHING);
  const reboots = root.data?.commands.some((command) => command.name === 'Reboot()');
  const noReboot = mayRun ?? (root.data && !reboots ? d.noReboot : undefined);

  const actions: Action[] = [
    ...(noReboot ? [] : [{ id: 'reboot', icon: 'power' as const, label: `${d.reboot} ${device.name}`, run: () => setDialog('reboot') }]),
    ...(mayRun ? [] : [{ id: 'read', icon: 'refresh' as const, label: d.refresh, run: read.start }, { id: 'wake', icon: 'play' as const, label: d.wake, run: wake.start }]),
    ...(mayWrite ? [] : [{ id: 'edit', icon: 'edit' as const, label: d.edit, run: () => setDialog('edit') }]),
    { id: 'reach', icon: 'link', label: d.tabs.reach, run: () => void navigate({ to: '/devices/$deviceId', params: { deviceId: device.id }, search: { tab: 'reach' } }) },
  ];
  useActions(actions);

  return (
    <header className={classes.header}>
      <div className={classes.title}>
        <h1 title={device.name}>{device.name}</h1>
        <span className="row" role="status">
          <PresenceState presence={device.presence} strong />
          <span className="small nowrap"><Evidence presence={device.presence} /></span>
        </span>
        <div className={classes.actions}>
          {device.presence.linked ? null : (
            <ActionButton leftSection={<Icon name="play" size={13} />} disabledReason={mayRun} loading={wake.busy} onClick={wake.start}>{d.wake}</ActionButton>
          )}
          <ActionButton leftSection={<Icon name="refresh" size={13} />} disabledReason={mayRun} loading={read.busy} onClick={read.start}>{d.refresh}</ActionButton>
          <ActionButton leftSection={<Icon name="power" size={13} />} disabledReason={noReboot} onClick={() => setDialog('reboot')}>{d.reboot}</ActionButton>
          <Menu position="bottom-end" width={270}>
            <Menu.Target>
              <Tooltip label={d.more}><ActionIcon aria-label={d.more}><Icon name="more" /></ActionIcon></Tooltip>
            </Menu.Target>
            <Menu.Dropdown>
              <Menu.Item leftSection={<Icon name="upload" />} disabled={mayRun !== undefined} onClick={() => setDialog('send')}>{t.transfer.send}</Menu.Item>
              <Menu.Item leftSection={<Icon name="download" />} disabled={mayRun !== undefined} onClick={() => setDialog('fetch')}>{t.transfer.fetch}</Menu.Item>
              <Menu.Divider />
              <Menu.Item leftSection={<Icon name="edit" />} disabled={mayWrite !== undefined} onClick={() => setDialog('edit')}>{d.edit}</Menu.Item>
              <Menu.Item leftSection={<Icon name="key" />} disabled={mayWrite !== undefined} onClick={() => setDialog('readmit')}>{d.readmit}</Menu.Item>
              <Menu.Item leftSection={<Icon name="lock" />} disabled={mayWrite !== undefined} onClick={() => setDialog('certificate')}>{device.admission.certificate_required ? d.certificateOff : d.certificateOn}</Menu.Item>
              <Menu.Item leftSection={<Icon name="link" />} disabled={mayWrite !== undefined} onClick={() => setDialog('merge')}>{t.matches.merge}</Menu.Item>
              <Menu.Divider />
              <Menu.Item leftSection={<Icon name="trash" />} disabled={mayWrite !== undefined} color="red" onClick={() => setDialog('remove')}>{d.remove}</Menu.Item>
              {mayWrite ? <Menu.Label style={{ whiteSpace: 'normal' }}>{mayWrite}</Menu.Label> : null}
            </Menu.Dropdown>
          </Menu>
          <Tooltip label={timeline ? d.timelineHide : d.timelineShow}>
            <ActionIcon aria-label={timeline ? d.timelineHide : d.timelineShow} aria-pressed={timeline} onClick={onTimeline}><Icon name="panel" /></ActionIcon>
          </Tooltip>
        </div>
      </div>
      <div className={classes.facts}>
        {device.manufacturer || device.model ? <span><strong>{makeAndModel(device)}</strong></span> : null}
        {device.serial ? <span>{d.serialShort} <Copyable value={device.serial} label={d.serial} /></span> : null}
        {ownNames(device).map(({ kind, value }) => <span key={value}>{d.namesShort[kind]} <Copyable value={value} label={d.names[kind]} /></span>)}
        {device.ip ? <span>{d.ipShort} <Copyable value={device.ip} label={d.ip} /></span> : null}
        <Expected presence={device.presence} />
        {device.tags.length > 0 ? <span>{device.tags.map((tag) => <Tag key={tag}>{tag}</Tag>)}</span> : null}
      </div>
      {dialog ? <Suspense><Dialogs name={dialog} device={device} onClose={() => setDialog(undefined)} /></Suspense> : null}
    </header>
  );
}

/** "Northwind HG26", and not the maker twice when the model begins with it. */
function makeAndModel({ manufacturer, model }: DeviceDetail): string {
  return manufacturer && model?.startsWith(manufacturer) ? model : [manufacturer, model].filter(Boolean).join(' ');
}

// When an operation gets to a device that has no open link: said before it is asked for.
import type { DeviceDetail } from '~/api/devices';
import { Note } from '~/components/notice';
import { waitOf } from '~/components/presence-words';
import { Ago } from '~/components/time';
import { useClock } from '~/lib/clock';
import { t } from '~/text';

export function Waits({ device }: { device: DeviceDetail }) {
  const wait = useClock((now) => waitOf(device.presence, now));
  const w = t.device.waits;
  if (wait === 'none') return null;
  const by = device.presence.expected_by;
  return (
    <Note tone={wait === 'gone' ? 'warn' : 'idle'}>
      {wait === 'interval' ? w.interval : wait === 'back' ? w.back : w.gone}
      {by && wait !== 'gone' ? <> {w.expected} <Ago at={by} />.</> : null}
    </Note>
  );
}

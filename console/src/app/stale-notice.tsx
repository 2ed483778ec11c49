// A line below the top bar while the live stream is interrupted: since when what is shown may be old, and when it is
// tried again. A short interruption is not worth a word.
import { useEffect, useState } from 'react';
import { retryLive, useLive } from '~/api/live';
import { Icon } from '~/components/icon';
import { duration } from '~/lib/time';
import { serverNow, useClock } from '~/lib/clock';
import { t } from '~/text';
import classes from './shell.module.css';

/** An interruption shorter than this is only shown by the dot. */
const QUIET_MS = 3000;

export function StaleNotice() {
  const { phase, retryAt } = useLive();
  const down = phase === 'lost';
  const [since, setSince] = useState<number>();
  useEffect(() => setSince(down ? serverNow() : undefined), [down]);
  const late = useClock((now) => since !== undefined && now - since >= QUIET_MS);
  const age = useClock((now) => (since === undefined ? '' : duration(now - since)));
  const wait = useClock((now) => (retryAt === undefined ? '' : duration(Math.max(0, retryAt - now))));
  if (!late) return null;
  return (
    <div className={classes.stale} role="status" aria-label={t.live.staleLabel}>
      <Icon name="warn" size={14} />
      <span>{t.live.stale(age)}</span>
      <span className="dim num">{wait ? t.live.nextTry(wait) : t.live.connecting}</span>
      <button type="button" className={classes.plain} onClick={retryLive}>{t.live.tryNow}</button>
    </div>
  );
}

// A moment, as an age that keeps itself current; the exact time is on hover and for assistive technology.
import { exact, parseTime, relative } from '~/lib/time';
import { useClock } from '~/lib/clock';
import { t } from '~/text';

export function Ago({ at, none = t.common.never, className }: { at: string | null | undefined; none?: string; className?: string }) {
  const moment = parseTime(at);
  const words = useClock((now) => (moment === undefined ? none : relative(moment, now)));
  if (moment === undefined) return <span className="dim">{none}</span>;
  return (
    <time className={className ?? 'nowrap'} dateTime={at ?? undefined} title={exact(moment)}>
      {words}
    </time>
  );
}

/** True once `at` is longer ago than `limit_ms`; re-renders when it becomes so. */
export function useStale(at: string | null | undefined, limit_ms: number): boolean {
  const moment = parseTime(at);
  return useClock((now) => moment !== undefined && now - moment > limit_ms);
}

// One ticking clock for the whole page, corrected by the server's own time.
// Components re-render only when the words they show change.
import { useSyncExternalStore } from 'react';

const TICK_MS = 1000;
/** Below this the difference is the network's, not the clock's. */
const SKEW_MIN_MS = 2500;

let skew = 0;
let current = Date.now();
const listeners = new Set<() => void>();
let timer: ReturnType<typeof setInterval> | undefined;

function tick(): void {
  current = Date.now() + skew;
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  timer ??= setInterval(tick, TICK_MS);
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) {
      clearInterval(timer);
      timer = undefined;
    }
  };
}

/** Takes the Date header of a response: ages are measured by the server's clock. */
export function learnServerTime(header: string | null): void {
  if (!header) return;
  const server = Date.parse(header);
  if (Number.isNaN(server)) return;
  const found = server - Date.now();
  skew = Math.abs(found) > SKEW_MIN_MS ? found : 0;
}

export function serverNow(): number {
  return Date.now() + skew;
}

/** Something computed from the current time; re-renders when the result differs (by ===). */
export function useClock<T extends string | number | boolean | undefined>(compute: (now: number) => T): T {
  return useSyncExternalStore(
    subscribe,
    () => compute(timer ? current : serverNow()),
    () => compute(serverNow()),
  );
}

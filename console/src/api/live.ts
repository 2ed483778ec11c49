// The live event stream: one connection per browser (tabs share it), resumed from the last event seen,
// with a state everyone can show. What to do with an event is not decided here: see live-queries.ts.
import { useSyncExternalStore } from 'react';
import { learnServerTime, serverNow } from '~/lib/clock';
import { signedOut } from './client';
import { StreamParser } from './sse';

/** The server sends something at least every 15 s; three times that is silence. */
const SILENCE_MAX_MS = 45_000;
const RETRY_MIN_MS = 1000;
const RETRY_MAX_MS = 30_000;
const RETRY = 'headend:live-retry';

export type LivePhase = 'off' | 'connecting' | 'live' | 'lost' | 'refused';

export interface LiveState {
  phase: LivePhase;
  /** When the last event came, in server time. */
  lastEventAt: number | undefined;
  /** When the next attempt is made, while the stream is lost. */
  retryAt: number | undefined;
}

export interface LiveEvent {
  cursor: string;
  type: string;
  data: unknown;
}

type Listener = (event: LiveEvent) => void;
type Shared = { kind: 'event'; event: LiveEvent } | { kind: 'state'; state: LiveState } | { kind: 'resumed' } | { kind: 'hello' };

let state: LiveState = { phase: 'off', lastEventAt: undefined, retryAt: undefined };
let cursor: string | undefined;
const stateListeners = new Set<() => void>();
const eventListeners = new Set<Listener>();
const resumeListeners = new Set<() => void>();

function setState(next: Partial<LiveState>): void {
  state = { ...state, ...next };
  for (const listener of stateListeners) listener();
}

function deliver(event: LiveEvent): void {
  if (event.cursor) cursor = event.cursor;
  for (const listener of eventListeners) listener(event);
}

/** Called for every event of the stream. */
export function onLiveEvent(listener: Listener): () => void {
  eventListeners.add(listener);
  return () => eventListeners.delete(listener);
}

/** Called when the stream is back after a loss: what is shown may be behind. */
export function onLiveResumed(listener: () => void): () => void {
  resumeListeners.add(listener);
  return () => resumeListeners.delete(listener);
}

export function useLive(): LiveState {
  return useSyncExternalStore(
    (listener) => {
      stateListeners.add(listener);
      return () => stateListeners.delete(listener);
    },
    () => state,
  );
}

let runningStop: (() => void) | undefined;

/** Starts the stream for `scope` (user and tenant); tabs of one scope share one connection. */
export function startLive(url: string, scope: string, tenantId: string): () => void {
  runningStop?.();
  const abort = new AbortController();
  const stop = () => {
    if (abort.signal.aborted) return;
    abort.abort();
    channel?.close();
    cursor = undefined;
    setState({ phase: 'off', lastEventAt: undefined, retryAt: undefined });
  };
  runningStop = stop;

  let leading = false;
  const channel = 'locks' in navigator && 'BroadcastChannel' in window ? new BroadcastChannel(`headend.live.${scope}`) : undefined;
  const share = (message: Shared) => channel?.postMessage(message);
  const emitState = (next: Partial<LiveState>) => {
    setState(next);
    share({ kind: 'state', state });
  };

  const lead = () => {
    leading = true;
    return follow({ url, tenant: tenantId }, abort.signal, {
      state: emitState,
      event: (event) => {
        deliver(event);
        share({ kind: 'event', event });
      },
      resumed: () => {
        for (const listener of resumeListeners) listener();
        share({ kind: 'resumed' });
      },
    });
  };

  if (channel) {
    channel.onmessage = (message: MessageEvent<Shared>) => {
      const m = message.data;
      if (m.kind === 'hello' && leading) share({ kind: 'state', state });
      else if (leading) return;
      else if (m.kind === 'event') deliver(m.event);
      else if (m.kind === 'state') setState(m.state);
      else if (m.kind === 'resumed') for (const listener of resumeListeners) listener();
    };
    setState({ phase: 'connecting' });
    share({ kind: 'hello' });
    navigator.locks.request(`headend.live.${scope}`, { signal: abort.signal }, lead).catch(() => {
      // Only the abort of a page that is done with the stream ends up here.
    });
  } else {
    void lead();
  }
  return stop;
}

interface Source {
  url: string;
  tenant: string;
}

interface Sink {
  state: (next: Partial<LiveState>) => void;
  event: (event: LiveEvent) => void;
  resumed: () => void;
}

async function follow(source: Source, signal: AbortSignal, sink: Sink): Promise<void> {
  let failures = 0;
  let everLive = false;
  while (!signal.aborted) {
    sink.state({ phase: failures === 0 ? 'connecting' : 'lost', retryAt: undefined });
    const outcome = await connect(source, signal, {
      ...sink,
      state: (next) => {
        if (next.phase === 'live') {
          if (everLive) sink.resumed();
          everLive = true;
          failures = 0;
        }
        sink.state(next);
      },
    });
    if (signal.aborted) return;
    if (outcome === 'refused') {
      sink.state({ phase: 'refused', retryAt: undefined });
      return;
    }
    failures += 1;
    const wait = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** (failures - 1)) * (0.75 + Math.random() / 2);
    sink.state({ phase: 'lost', retryAt: serverNow() + wait });
    await pause(wait, signal);
  }
}

/** One connection, until it ends. */
async function connect(source: Source, outer: AbortSignal, sink: Sink): Promise<'ended' | 'refused'> {
  const own = new AbortController();
  const onOuter = () => own.abort();
  outer.addEventListener('abort', onOuter, { once: true });
  let watchdog = setTimeout(() => own.abort(), SILENCE_MAX_MS);
  try {
    const headers: Record<string, string> = { accept: 'text/event-stream' };
    if (source.tenant) headers['headend-tenant'] = source.tenant;
    if (cursor) headers['last-event-id'] = cursor;
    const response = await fetch(source.url, { headers, signal: own.signal, cache: 'no-store', credentials: 'same-origin' });
    learnServerTime(response.headers.get('date'));
    if (response.status === 401) signedOut();
    if (response.status === 401 || response.status === 403) return 'refused';
    if (!response.ok || !response.body) {
      // A cursor the log no longer holds: start again from now.
      if (response.status === 400 || response.status === 410) cursor = undefined;
      return 'ended';
    }
    sink.state({ phase: 'live', retryAt: undefined });
    const parser = new StreamParser((event) => {
      sink.state({ lastEventAt: serverNow() });
      sink.event({ cursor: event.id ?? '', type: event.type, data: parseJson(event.data) });
    });
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return 'ended';
      clearTimeout(watchdog);
      watchdog = setTimeout(() => own.abort(), SILENCE_MAX_MS);
      parser.feed(value);
    }
  } catch {
    return 'ended';
  } finally {
    clearTimeout(watchdog);
    outer.removeEventListener('abort', onOuter);
    own.abort();
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** Tries again at once while the stream is lost. */
export const retryLive = () => dispatchEvent(new Event(RETRY));

/** Waits; a network that comes back or an impatient person ends the wait. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      removeEventListener('online', done);
      removeEventListener(RETRY, done);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    addEventListener('online', done);
    addEventListener(RETRY, done);
    signal.addEventListener('abort', done);
  });
}

// Changes that are staged for a device and not yet sent. They live as long as the page of the browser, per device,
// and nowhere else: a staged password is never written to storage.
import { useSyncExternalStore } from 'react';
import type { Op, Operation } from '~/api/operations';

export type Staged =
  | { kind: 'set'; path: string; from: string | undefined; to: string; secret: boolean }
  | { kind: 'add'; id: number; object: string; parameters: { name: string; value: string; secret: boolean }[] }
  | { kind: 'delete'; path: string; hint: string | undefined };

const none: Staged[] = [];
const byDevice = new Map<string, Staged[]>();
const listeners = new Set<() => void>();
let nextId = 1;

function change(device: string, to: Staged[]): void {
  if (to.length > 0) byDevice.set(device, to);
  else byDevice.delete(device);
  devices = [...byDevice.keys()];
  // The browser asks before a reload or a closed tab loses them.
  if (devices.length > 0) addEventListener('beforeunload', askBeforeLeaving);
  else removeEventListener('beforeunload', askBeforeLeaving);
  for (const listener of listeners) listener();
}

/** The name of a staged change: one parameter is staged once. */
export function keyOf(staged: Staged): string {
  return staged.kind === 'add' ? `add ${staged.id}` : `${staged.kind} ${staged.path}`;
}

/** Adds or replaces; setting a parameter back to what it is takes the change away. Pure. */
export function withStaged(list: Staged[], staged: Staged): Staged[] {
  const key = keyOf(staged);
  if (staged.kind === 'set' && !staged.secret && staged.from !== undefined && staged.from === staged.to) {
    return list.filter((one) => keyOf(one) !== key);
  }
  const at = list.findIndex((one) => keyOf(one) === key);
  return at < 0 ? [...list, staged] : list.map((one, i) => (i === at ? staged : one));
}

/**
 * The ops that do what is staged: rows are added first and deleted last. An operation carries one op, so each
 * is an operation of its own; a device gets them in this order. Pure.
 */
export function toOps(list: Staged[]): Op[] {
  const ops: Op[] = [];
  for (const one of list) {
    if (one.kind === 'add') {
      ops.push({ kind: 'add', object: one.object, parameters: one.parameters.map(({ name, value }) => ({ name, value })) });
    }
  }
  const sets = list.flatMap((one) => (one.kind === 'set' ? [{ path: one.path, value: one.to }] : []));
  if (sets.length > 0) ops.push({ kind: 'set', parameters: sets, allow_partial: false });
  const paths = list.flatMap((one) => (one.kind === 'delete' ? [one.path] : []));
  if (paths.length > 0) ops.push({ kind: 'delete', paths, allow_partial: false });
  return ops;
}

export type Tick = 'waiting' | 'sent' | 'accepted' | 'verified' | 'unverified' | 'failed' | 'unknown';

/** Which of the ops of `toOps` carries a staged change. Pure. */
export function opIndex(list: Staged[], staged: Staged): number {
  const adds = list.filter((one) => one.kind === 'add');
  if (staged.kind === 'add') return adds.indexOf(staged);
  return staged.kind === 'set' ? adds.length : adds.length + (list.some((one) => one.kind === 'set') ? 1 : 0);
}

/** How far one staged change has come in the operation that carries it; absent while that is not stored. Pure. */
export function tickOf(staged: Staged, operation: Operation | undefined): { tick: Tick; message?: string } {
  const step = operation?.steps[0];
  if (!operation || !step) return operation && isOver(operation) ? { tick: 'failed', message: operation.state_words } : { tick: 'waiting' };
  const result = staged.kind === 'add' ? step.results[0] : step.results.find((one) => one.path === staged.path);
  const error = result?.error ?? (result ? undefined : step.error);
  if (error) return { tick: 'failed', message: error.message };
  switch (step.state) {
    case 'waiting':
      return isOver(operation) ? { tick: 'failed', message: operation.state_words } : { tick: 'waiting' };
    case 'sent':
      return { tick: 'sent' };
    case 'verifying':
      return { tick: result?.verified === true ? 'verified' : 'accepted' };
    case 'done':
    case 'partly':
      if (result?.verified === false) return { tick: 'failed', message: undefined };
      return { tick: result?.verified === true ? 'verified' : 'unverified' };
    case 'unconfirmed':
      return { tick: 'unknown', message: operation.state_words };
    default:
      return { tick: 'failed', message: step.error?.message ?? operation.state_words };
  }
}

function isOver(operation: Operation): boolean {
  return !['queued', 'running', 'verifying'].includes(operation.state);
}

export function useStaged(device: string) {
  const list = useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => byDevice.get(device) ?? none,
  );
  return {
    list,
    stage: (staged: Staged) => change(device, withStaged(byDevice.get(device) ?? none, staged)),
    unstage: (key: string) => change(device, (byDevice.get(device) ?? none).filter((one) => keyOf(one) !== key)),
    clear: () => change(device, none),
    newId: () => nextId++,
  };
}

export type Staging = ReturnType<typeof useStaged>;

let devices: string[] = [];

/** The devices that have staged changes. */
export function useStagedDevices(): string[] {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => devices,
  );
}

/** How many changes are staged for a device. */
export const stagedCount = (device: string) => byDevice.get(device)?.length ?? 0;

/** Forgets everything: another tenant, another person. */
export function forgetStaged(): void {
  for (const device of [...byDevice.keys()]) change(device, none);
}

function askBeforeLeaving(event: BeforeUnloadEvent): void {
  event.preventDefault();
}

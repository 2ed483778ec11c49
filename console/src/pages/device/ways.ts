// The ways in which we can turn to a device on a path: which there are, and what came of each lately. Pure.
import type { Reach } from '~/api/devices';

type Path = Reach['paths'][number];
type Attempt = Path['attempts'][number];

export interface Way {
  method: string;
  /** Where to; undefined for an open link, and for a way that the device has not told. */
  address: string | undefined;
  known: boolean;
  /** Why it cannot be used, in words. */
  problem: string | undefined;
  /** The last attempt in this way. */
  last: Attempt | undefined;
  tried: number;
}

/** Connection requests, in each way the standard has: what a device lacks is worth knowing. */
const requests = ['http', 'udp', 'xmpp'];
/** A dialled link is tried over its own transport. */
const transportOf: Record<string, string> = { dial: 'websocket' };

export function ways({ protocol, methods, attempts }: Pick<Path, 'protocol' | 'methods' | 'attempts'>): Way[] {
  const of = (method: string, address: string | undefined, known: boolean, problem?: string): Way => {
    const made = attempts.filter((one) => one.method === (transportOf[method] ?? method));
    return { method, address, known, problem, last: made[0], tried: made.length };
  };
  const told = methods.map((one) => of(one.method, one.address ?? undefined, true, one.problem ?? undefined));
  const missing = protocol === 'cwmp' ? requests.filter((method) => !methods.some((one) => one.method === method)) : [];
  return [...told, ...missing.map((method) => of(method, undefined, false))];
}

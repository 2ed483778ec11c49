// Whether a command can be run with what is filled in. Pure.
import type { ModelCommand } from '~/api/devices';
import { t } from '~/text';
import { checkValue } from './value-check';

/** Why the arguments will not do; undefined when they will. An empty one is not given. */
export function notReady(wanted: ModelCommand['inputs'], given: Readonly<Record<string, string>>): string | undefined {
  const c = t.device.commands;
  const value = (name: string) => given[name] ?? '';
  const missing = wanted.filter((one) => one.mandatory && value(one.name) === '').map((one) => one.name);
  if (missing.length > 0) return c.missing(missing);
  return wanted.some((one) => value(one.name) !== '' && checkValue(one.type, value(one.name)) !== undefined) ? c.invalid : undefined;
}

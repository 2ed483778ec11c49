// Why a device came, in words: the event codes of an Inform. Pure.
import { t } from '~/text';

/** "2 PERIODIC" is "at its interval"; what is not known is shown as the device says it. */
export function reasons(events: readonly string[]): string {
  const words: Record<string, string> = t.device.sessions.events;
  const told = events.map((event) => words[event.trim().toUpperCase()] ?? event);
  return [...new Set(told)].join(', ') || t.device.sessions.noReason;
}

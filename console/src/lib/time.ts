// Times in words. Pure: `now` always comes in. The ticking is in clock.ts.

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** A length of time in one or two units: "12 s", "4 min", "3 h 20 min", "5 d 2 h". */
export function duration(ms: number): string {
  const n = Math.max(0, ms);
  if (n < SECOND) return `${Math.round(n)} ms`;
  if (n < MINUTE) return `${Math.floor(n / SECOND)} s`;
  if (n < HOUR) return `${Math.floor(n / MINUTE)} min`;
  if (n < DAY) {
    const h = Math.floor(n / HOUR);
    const m = Math.floor((n % HOUR) / MINUTE);
    return m > 0 && h < 10 ? `${h} h ${m} min` : `${h} h`;
  }
  const d = Math.floor(n / DAY);
  const h = Math.floor((n % DAY) / HOUR);
  return h > 0 && d < 10 ? `${d} d ${h} h` : `${d} d`;
}

/** How long ago, in words; within five seconds it is "just now"; times to come read "in 5 min". */
export function relative(at: number, now: number): string {
  const age = now - at;
  if (Math.abs(age) < 5 * SECOND) return 'just now';
  return age > 0 ? `${duration(age)} ago` : `in ${duration(-age)}`;
}

/** The exact local time with its offset, for a tooltip. */
export function exact(at: number): string {
  const d = new Date(at);
  const pad = (n: number, width = 2) => String(n).padStart(width, '0');
  const offset = -d.getTimezoneOffset();
  const sign = offset < 0 ? '-' : '+';
  const zone = `${sign}${pad(Math.floor(Math.abs(offset) / 60))}:${pad(Math.abs(offset) % 60)}`;
  return (
    `${d.getFullYear()}-${pad(d.getMonth() + 1)}-${pad(d.getDate())} ` +
    `${pad(d.getHours())}:${pad(d.getMinutes())}:${pad(d.getSeconds())}.${pad(d.getMilliseconds(), 3)} ${zone}`
  );
}

/** The local clock time of a moment, "14:03:22", for transcripts. */
export function clockTime(at: number): string {
  const d = new Date(at);
  const pad = (n: number, width = 2) => String(n).padStart(width, '0');
  return `${pad(d.getHours())}:${pad(d.getMinutes())}:${pad(d.getSeconds())}.${pad(d.getMilliseconds(), 3)}`;
}

/** RFC 3339 to milliseconds; undefined when absent or not a time. */
export function parseTime(text: string | null | undefined): number | undefined {
  if (!text) return undefined;
  const at = Date.parse(text);
  return Number.isNaN(at) ? undefined : at;
}

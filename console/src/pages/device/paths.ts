// Small questions about data-model paths. Pure.

/** The object a path belongs to: itself when it ends in a dot. */
export function objectOf(path: string): string {
  return path.endsWith('.') ? path : path.slice(0, path.lastIndexOf('.') + 1);
}

/** The object above: "Device.WiFi.SSID.1." is below "Device.WiFi.SSID."; nothing is above "Device.". */
export function above(path: string): string | undefined {
  const cut = path.replace(/\.$/, '').lastIndexOf('.');
  return cut < 0 ? undefined : path.slice(0, cut + 1);
}

/** The objects from the root to this one: "Device.", "Device.WiFi.", ... */
export function chain(path: string): string[] {
  const out: string[] = [];
  for (let at: string | undefined = objectOf(path); at !== undefined; at = above(at)) out.unshift(at);
  return out;
}

/** The last part of an object path, without its dot. */
export function lastName(path: string): string {
  const bare = path.replace(/\.$/, '');
  return bare.slice(bare.lastIndexOf('.') + 1);
}

/** How many tables are looked through for a row: enough for gateways whose first connection is the empty one. */
const TABLES_MAX = 16;

/** The table of which a path names any row, "{i}"; undefined when it names each row by its number. */
export function openTable(path: string): string | undefined {
  const cut = path.indexOf('{i}');
  return cut < 0 ? undefined : path.slice(0, cut);
}

/** Whether an object is the one that a path with or without "{i}" names. */
export function isOf(named: string, object: string): boolean {
  const want = named.split('.');
  const have = object.split('.');
  return want.length === have.length && want.every((part, i) => part === have[i] || (part === '{i}' && /^\d+$/.test(have[i] ?? '')));
}

/**
 * The first object there is of those that a path with "{i}" names: "Device.WiFi.SSID.{i}.Stats." becomes
 * "Device.WiFi.SSID.1.Stats.". Where no row is known "{i}" stays, and the path that goes furthest is the answer.
 */
export async function firstRow(path: string, rowsOf: (table: string) => Promise<number[]>): Promise<string> {
  let furthest = path;
  let depth = 0;
  const open = [{ path, depth }];
  for (let asked = 0; asked < TABLES_MAX; asked++) {
    const at = open.pop();
    const table = at && openTable(at.path);
    if (!at || table === undefined) break;
    const rows = (await rowsOf(table)).map((number) => ({ path: at.path.replace('{i}', String(number)), depth: at.depth + 1 }));
    const first = rows[0];
    if (first && first.depth > depth) ({ path: furthest, depth } = first);
    if (openTable(furthest) === undefined) break;
    open.push(...rows.reverse());
  }
  return furthest;
}

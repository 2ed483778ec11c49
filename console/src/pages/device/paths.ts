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

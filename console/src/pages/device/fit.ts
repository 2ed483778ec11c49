// Which files are for which device, as far as it is noted. Pure.
import type { DeviceDetail } from '~/api/devices';
import type { StoredFile } from '~/api/files';

type About = Pick<DeviceDetail, 'manufacturer' | 'model' | 'product_class'>;
type Noted = Pick<StoredFile, 'vendor' | 'model'>;

const same = (a: string | null | undefined, b: string | null | undefined) => a != null && b != null && a.trim().toLowerCase() === b.trim().toLowerCase();

/** It is noted as for another vendor or model; what is not noted, or not known of the device, says nothing. */
export function forAnother(file: Noted, device: About): boolean {
  if (file.vendor && device.manufacturer && !same(file.vendor, device.manufacturer)) return true;
  if (!file.model || (!device.model && !device.product_class)) return false;
  return !same(file.model, device.model) && !same(file.model, device.product_class);
}

/** Those for this model first, those for another last; the order within stays. */
export function byFit<T extends Noted>(files: readonly T[], device: About): T[] {
  const rank = (file: T) => (forAnother(file, device) ? 2 : file.model || file.vendor ? 0 : 1);
  return [...files].sort((a, b) => rank(a) - rank(b));
}

// What a device is called on the wire, and what it speaks: the same questions for every protocol. Pure.
import type { DeviceDetail } from '~/api/devices';

export interface OwnName {
  /** The kind of name, as in the texts of identities. */
  kind: 'usp_endpoint' | 'cwmp_device';
  value: string;
}

type Named = Pick<DeviceDetail, 'endpoint_ids' | 'identities'>;

/** The names under which it comes: its endpoint ids, else what it calls itself over CWMP. */
export function ownNames({ endpoint_ids, identities }: Named): OwnName[] {
  if (endpoint_ids.length > 0) return endpoint_ids.map((value) => ({ kind: 'usp_endpoint', value }));
  return identities.flatMap(({ kind, shown }) => (kind === 'cwmp_device' ? [{ kind, value: shown }] : []));
}

/** "USP 1.3"; with two protocols the version is that of only one of them, and is left out. */
export function protocolWords({ protocols, protocol_version }: Pick<DeviceDetail, 'protocols' | 'protocol_version'>): string | undefined {
  const all = protocols.map((one) => one.toUpperCase());
  if (all.length === 1 && protocol_version) return `${all[0]} ${protocol_version}`;
  return all.length > 0 ? all.join(', ') : undefined;
}

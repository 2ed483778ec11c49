// What is written into a CPE that speaks TR-069, line by line. Pure.
import type { Schemas } from '~/api/client';

export type AcsAccess = Schemas['AcsAccess'];

/** The roots of the data model of today and of that of old gateways. */
export const roots = { today: 'Device.', old: 'InternetGatewayDevice.' } as const;
export type Root = keyof typeof roots;

/** The parameters that point a CPE at us; it does the rest in its first session. */
export function acsLines(acs: Pick<AcsAccess, 'urls' | 'username'>, secret: string, root: Root): string {
  const server = `${roots[root]}ManagementServer.`;
  return [
    `${server}URL "${acs.urls[0] ?? ''}"`,
    `${server}Username "${acs.username}"`,
    `${server}Password "${secret}"`,
    // Old gateways have no switch for it.
    ...(root === 'today' ? [`${server}EnableCWMP "true"`] : []),
  ].join('\n');
}

/** For a CPE that takes nothing but a URL, as by DHCP: the key is its last part. */
export function keyUrl(acs: Pick<AcsAccess, 'urls'>, secret: string): string {
  const base = (acs.urls[0] ?? '').replace(/\/+$/, '');
  return `${/^https?:\/\/[^/]+$/.test(base) ? `${base}/cwmp` : base}/${secret}`;
}

/** What a CPE needs so that it can be asked to come over XMPP. Its account is its own: names in angle brackets are to be filled in. */
export function xmppLines(jid: string, root: Root): string {
  const domain = jid.replace(/^[^@]*@/, '').replace(/\/.*$/, '');
  return [
    `${roots[root]}XMPP.Connection.1.Domain "${domain}"`,
    `${roots[root]}XMPP.Connection.1.Username "<account of the device>"`,
    `${roots[root]}XMPP.Connection.1.Password "<its password>"`,
    `${roots[root]}XMPP.Connection.1.Enable "true"`,
    `${roots[root]}ManagementServer.ConnReqXMPPConnection "${roots[root]}XMPP.Connection.1"`,
    `${roots[root]}ManagementServer.ConnReqAllowedJabberIDs "${jid}"`,
  ].join('\n');
}

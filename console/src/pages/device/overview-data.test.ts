import { describe, expect, it } from 'vitest';
import type { Value } from '~/api/devices';
import { evidence, hosts, ipInterfaces, rowsOf, toMap, upSince, wifiNetworks } from './overview-data';

const values = (entries: Record<string, string>, at = '2026-01-01T00:00:00.000Z') =>
  toMap([Object.entries(entries).map(([path, value]) => ({ path, value, source: 'read by USP', at }) as Value)]);

describe('a device in plain words', () => {
  it('orders rows by number, not by text', () => {
    expect(rowsOf(values({ 'D.T.10.A': '', 'D.T.2.A': '', 'D.T.2.B': '', 'D.TX.1.A': '' }), 'D.T.')).toEqual(['D.T.2.', 'D.T.10.']);
  });

  it('finds the radio and the access point of a network through their references', () => {
    const [network] = wifiNetworks(
      values({
        'Device.WiFi.SSID.1.SSID': 'Home',
        'Device.WiFi.SSID.1.Enable': 'true',
        'Device.WiFi.SSID.1.LowerLayers': 'Device.WiFi.Radio.2',
        'Device.WiFi.Radio.2.OperatingFrequencyBand': '5GHz',
        'Device.WiFi.Radio.2.Channel': '36',
        'Device.WiFi.AccessPoint.7.SSIDReference': 'Device.WiFi.SSID.1.',
        'Device.WiFi.AccessPoint.7.Security.ModeEnabled': 'WPA2-Personal',
        'Device.WiFi.AccessPoint.7.AssociatedDevice.1.MACAddress': 'x',
      }),
    );
    expect(network).toMatchObject({ ssid: 'Home', enabled: true, band: '5GHz', channel: '36', accessPoint: 'Device.WiFi.AccessPoint.7.', security: 'WPA2-Personal', clients: 1 });
  });

  it('shows what is not known as not known', () => {
    const [network] = wifiNetworks(values({ 'Device.WiFi.SSID.3.SSID': '' }));
    expect(network).toMatchObject({ band: undefined, security: undefined, enabled: undefined, clients: undefined });
  });

  it('lists hosts that are there before those that are away', () => {
    const list = hosts(values({
      'Device.Hosts.Host.1.HostName': 'a', 'Device.Hosts.Host.1.Active': 'false',
      'Device.Hosts.Host.2.HostName': 'b', 'Device.Hosts.Host.2.Active': 'true',
    }));
    expect(list.map((host) => host.name)).toEqual(['b', 'a']);
  });

  it('finds the signal of a host by its MAC address', () => {
    const [host] = hosts(values({
      'Device.Hosts.Host.1.PhysAddress': 'AA:bb:cc:00:00:01',
      'Device.WiFi.AccessPoint.2.AssociatedDevice.5.MACAddress': 'aa:bb:cc:00:00:01',
      'Device.WiFi.AccessPoint.2.AssociatedDevice.5.SignalStrength': '-61',
    }));
    expect(host?.signal).toBe(-61);
  });

  it('knows when the newest of several values was read', () => {
    const map = toMap([[...values({ 'A.B': '1' }, '2026-01-01T00:00:00Z').values()], [...values({ 'A.C': '1' }, '2026-01-02T00:00:00Z').values()]]);
    expect(evidence(map, ['A.'])?.at).toBe('2026-01-02T00:00:00Z');
    expect(evidence(map, ['X.'])).toBeUndefined();
  });

  it('says how old the oldest of several values is when they are not of one reading', () => {
    const at = (path: string, time: string) => [...values({ [path]: '1' }, time).values()];
    const map = toMap([at('A.B', '2026-01-01T00:10:00Z'), at('A.C', '2026-01-01T00:24:00Z'), at('A.D', '2026-01-01T00:23:50Z')]);
    expect(evidence(map, ['A.'])).toMatchObject({ at: '2026-01-01T00:24:00Z', oldest: '2026-01-01T00:10:00Z' });
    expect(evidence(map, ['A.C', 'A.D'])?.oldest).toBeUndefined();
  });

  it('counts the up time back from when it was read, unless the device has started since', () => {
    const read = Date.parse('2026-01-01T00:10:00.000Z');
    const map = values({ 'Device.DeviceInfo.UpTime': '60' }, '2026-01-01T00:10:00.000Z');
    const started = read - 60_000;
    expect(upSince(map, null)).toBe(started);
    expect(upSince(map, '2026-01-01T00:09:01.000Z')).toBe(started);
    expect(upSince(map, '2026-01-01T00:17:00.000Z')).toBe(read + 7 * 60_000);
    expect(upSince(values({}), '2026-01-01T00:17:00.000Z')).toBeUndefined();
  });

  it('leaves the loopback out of the network, and tells the Internet from the home by what an interface stands on', () => {
    const found = ipInterfaces(
      values({
        'Device.IP.Interface.1.Name': 'lo',
        'Device.IP.Interface.1.Type': 'Loopback',
        'Device.IP.Interface.2.Name': 'br-lan',
        'Device.IP.Interface.2.LowerLayers': 'Device.Ethernet.Interface.2,Device.WiFi.SSID.1',
        'Device.Ethernet.Interface.2.Upstream': 'false',
        'Device.IP.Interface.3.Name': 'pppoe-wan',
        'Device.IP.Interface.3.LowerLayers': 'Device.PPP.Interface.1',
        'Device.IP.Interface.4.Name': 'eth0',
        'Device.IP.Interface.4.LowerLayers': 'Device.Ethernet.Link.4.',
        'Device.Ethernet.Link.4.LowerLayers': 'Device.Ethernet.Interface.4',
        'Device.Ethernet.Interface.4.Upstream': 'true',
        'Device.IP.Interface.5.Name': 'tun0',
      }),
    );
    expect(found.map((one) => [one.name, one.side])).toEqual([['pppoe-wan', 'internet'], ['eth0', 'internet'], ['br-lan', 'home'], ['tun0', undefined]]);
  });

  it('takes a fixed private address beside a way to the Internet for that of the home, and nothing else', () => {
    const one = (n: number, how: string, address: string, below?: string) => ({
      [`Device.IP.Interface.${n}.Name`]: `if${n}`,
      [`Device.IP.Interface.${n}.IPv4Address.1.IPAddress`]: address,
      [`Device.IP.Interface.${n}.IPv4Address.1.AddressingType`]: how,
      ...(below ? { [`Device.IP.Interface.${n}.LowerLayers`]: below } : {}),
    });
    const lan = one(1, 'Static', '192.168.2.1');
    const sides = (entries: Record<string, string>) => ipInterfaces(values(entries)).map(({ name, side }) => [name, side]);
    expect(sides({ ...lan, ...one(2, 'IPCP', '100.96.0.1', 'Device.PPP.Interface.1') })).toEqual([['if2', 'internet'], ['if1', 'home']]);
    expect(sides(lan)).toEqual([['if1', undefined]]);
    expect(sides({ ...one(1, 'DHCP', '192.168.2.1'), ...one(2, 'IPCP', '100.96.0.1', 'Device.PPP.Interface.1'), ...one(3, 'Static', '172.32.0.1') })).toEqual([['if2', 'internet'], ['if1', undefined], ['if3', undefined]]);
  });

  it('does not follow layers that stand on themselves for ever', () => {
    expect(ipInterfaces(values({ 'Device.IP.Interface.1.LowerLayers': 'Device.IP.Interface.1' }))[0]?.side).toBeUndefined();
  });
});

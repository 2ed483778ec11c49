import { describe, expect, it } from 'vitest';
import { acsLines, keyUrl, xmppLines } from './acs-lines';

const acs = { urls: ['https://acs.example.net:7548/', 'http://acs.example.net:7547/'], username: 'default' };

describe('what is written into a CPE', () => {
  it('is its ACS, a user name and the key, under the root that it has', () => {
    expect(acsLines(acs, 'hes_1', 'today').split('\n')).toEqual([
      'Device.ManagementServer.URL "https://acs.example.net:7548/"',
      'Device.ManagementServer.Username "default"',
      'Device.ManagementServer.Password "hes_1"',
      'Device.ManagementServer.EnableCWMP "true"',
    ]);
    expect(acsLines(acs, 'hes_1', 'old')).toContain('InternetGatewayDevice.ManagementServer.Password "hes_1"');
    expect(acsLines(acs, 'hes_1', 'old')).not.toContain('EnableCWMP');
  });

  it('is one URL with the key in it where nothing else can be set, below the path that there is', () => {
    expect(keyUrl(acs, 'hes_1')).toBe('https://acs.example.net:7548/cwmp/hes_1');
    expect(keyUrl({ urls: ['https://acs.example.net/tr069/'] }, 'hes_1')).toBe('https://acs.example.net/tr069/hes_1');
  });

  it('has the domain of our account at the XMPP server', () => {
    const lines = xmppLines('acs@xmpp.example.net/headend', 'today');
    expect(lines).toContain('Device.XMPP.Connection.1.Domain "xmpp.example.net"');
    expect(lines).toContain('ConnReqAllowedJabberIDs "acs@xmpp.example.net/headend"');
  });
});

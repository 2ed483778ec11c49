import { describe, expect, it } from 'vitest';
import { above, chain, firstRow, isOf, lastName, objectOf, openTable } from './paths';

describe('data-model paths', () => {
  it('finds the object of a parameter, a command and an object', () => {
    expect(objectOf('Device.WiFi.SSID.1.SSID')).toBe('Device.WiFi.SSID.1.');
    expect(objectOf('Device.Reboot()')).toBe('Device.');
    expect(objectOf('Device.WiFi.')).toBe('Device.WiFi.');
  });

  it('goes up to the root and no further', () => {
    expect(above('Device.WiFi.SSID.1.')).toBe('Device.WiFi.SSID.');
    expect(above('Device.')).toBeUndefined();
    expect(chain('Device.WiFi.SSID.1.SSID')).toEqual(['Device.', 'Device.WiFi.', 'Device.WiFi.SSID.', 'Device.WiFi.SSID.1.']);
  });

  it('names the last part', () => {
    expect(lastName('Device.WiFi.SSID.1.')).toBe('1');
    expect(lastName('Device.')).toBe('Device');
  });
});

describe('a path that names any row of a table', () => {
  const rowsOf = (known: Record<string, number[]>) => {
    const asked: string[] = [];
    return { asked, of: (table: string) => { asked.push(table); return Promise.resolve(known[table] ?? []); } };
  };

  it('is told from one that names each row, with its table', () => {
    expect(openTable('Device.WiFi.SSID.{i}.Stats.')).toBe('Device.WiFi.SSID.');
    expect(openTable('Device.WiFi.SSID.1.Stats.')).toBeUndefined();
  });

  it('names the object of each row, and no other', () => {
    expect(isOf('Device.WiFi.SSID.{i}.Stats.', 'Device.WiFi.SSID.2.Stats.')).toBe(true);
    expect(isOf('Device.WiFi.SSID.{i}.Stats.', 'Device.WiFi.SSID.{i}.Stats.')).toBe(true);
    expect(isOf('Device.WiFi.SSID.{i}.Stats.', 'Device.WiFi.SSID.Stats.')).toBe(false);
    expect(isOf('Device.WiFi.SSID.1.', 'Device.WiFi.SSID.2.')).toBe(false);
  });

  it('leads to the object in the first row', async () => {
    const { of } = rowsOf({ 'Device.WiFi.SSID.': [2, 5] });
    expect(await firstRow('Device.WiFi.SSID.{i}.Stats.', of)).toBe('Device.WiFi.SSID.2.Stats.');
  });

  it('goes through tables in tables, past rows that have nothing below', async () => {
    const { of } = rowsOf({
      'InternetGatewayDevice.WANDevice.': [1, 2],
      'InternetGatewayDevice.WANDevice.2.WANConnectionDevice.': [1, 3],
      'InternetGatewayDevice.WANDevice.2.WANConnectionDevice.3.WANPPPConnection.': [7],
    });
    expect(await firstRow('InternetGatewayDevice.WANDevice.{i}.WANConnectionDevice.{i}.WANPPPConnection.{i}.', of)).toBe(
      'InternetGatewayDevice.WANDevice.2.WANConnectionDevice.3.WANPPPConnection.7.',
    );
  });

  it('keeps what no row is known of, and never leaves it out', async () => {
    expect(await firstRow('Device.WiFi.SSID.{i}.Stats.', rowsOf({}).of)).toBe('Device.WiFi.SSID.{i}.Stats.');
    const { of } = rowsOf({ 'InternetGatewayDevice.LANDevice.': [1, 2] });
    expect(await firstRow('InternetGatewayDevice.LANDevice.{i}.WLANConfiguration.{i}.', of)).toBe('InternetGatewayDevice.LANDevice.1.WLANConfiguration.{i}.');
  });

  it('asks for nothing when there is nothing to look for, and for so much only', async () => {
    const none = rowsOf({});
    expect(await firstRow('Device.WiFi.', none.of)).toBe('Device.WiFi.');
    expect(none.asked).toEqual([]);
    const many = rowsOf({ 'Device.A.': Array.from({ length: 500 }, (_, i) => i + 1) });
    expect(await firstRow('Device.A.{i}.B.{i}.', many.of)).toBe('Device.A.1.B.{i}.');
    expect(many.asked).toHaveLength(16);
  });
});

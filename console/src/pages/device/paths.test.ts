import { describe, expect, it } from 'vitest';
import { above, chain, lastName, objectOf } from './paths';

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

import { describe, expect, it } from 'vitest';
import { isHarmful, losesEverything } from './harmful';

describe('commands', () => {
  it('that interrupt or lose something are asked about first', () => {
    for (const command of ['Device.Reboot()', 'Device.FactoryReset()', 'Device.DeviceInfo.FirmwareImage.1.Activate()', 'Device.WiFi.Reset()']) {
      expect(isHarmful(command), command).toBe(true);
    }
  });

  it('that only look or count are not', () => {
    for (const command of ['Device.IP.Diagnostics.IPPing()', 'Device.WiFi.SSID.1.Stats.Reset()', 'Device.Routing.Babel.StatsReset()']) {
      expect(isHarmful(command), command).toBe(false);
    }
  });

  it('that lose the whole configuration are told apart', () => {
    expect(losesEverything('Device.FactoryReset()')).toBe(true);
    expect(losesEverything('Device.WiFi.Reset()')).toBe(false);
  });
});

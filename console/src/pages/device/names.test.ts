import { describe, expect, it } from 'vitest';
import { ownNames, protocolWords } from './names';

const identity = (kind: string, shown: string, value = shown) => ({ kind, value, shown, source: 'device', at: '2026-01-01T00:00:00Z' });

describe('what a device is called', () => {
  it('is its endpoint id, or over CWMP what it calls itself', () => {
    const identities = [identity('cwmp_device', '00D09E-HG26-1'), identity('oui_serial', '00D09E-1')];
    expect(ownNames({ endpoint_ids: ['os::00D09E-1'], identities })).toEqual([{ kind: 'usp_endpoint', value: 'os::00D09E-1' }]);
    expect(ownNames({ endpoint_ids: [], identities })).toEqual([{ kind: 'cwmp_device', value: '00D09E-HG26-1' }]);
    expect(ownNames({ endpoint_ids: [], identities: [] })).toEqual([]);
    const dashed = [identity('cwmp_device', '00D09E-WR-300-1', '00D09E-WR%2D300-1')];
    expect(ownNames({ endpoint_ids: [], identities: dashed })).toEqual([{ kind: 'cwmp_device', value: '00D09E-WR-300-1' }]);
  });

  it('has its protocol with the version, as long as it is one', () => {
    expect(protocolWords({ protocols: ['usp'], protocol_version: '1.3' })).toBe('USP 1.3');
    expect(protocolWords({ protocols: ['cwmp'], protocol_version: null })).toBe('CWMP');
    expect(protocolWords({ protocols: ['cwmp', 'usp'], protocol_version: '1.4' })).toBe('CWMP, USP');
    expect(protocolWords({ protocols: [], protocol_version: null })).toBeUndefined();
  });
});

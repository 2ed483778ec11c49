import { describe, expect, it } from 'vitest';
import { parseDeviceSearch, parseDevicesSearch, parseOperationsSearch, parseSignInSearch } from './search-params';

describe('the state in the URL', () => {
  it('keeps known filters and drops the rest', () => {
    expect(parseDevicesSearch({ presence: ['online', 'flying'], model: 'HGW-1', sort: 'colour', x: 1 })).toEqual({
      presence: ['online'],
      model: ['HGW-1'],
    });
  });

  it('reads numbers as the text they were', () => {
    expect(parseDevicesSearch({ q: 4711, tag: [1, 1] })).toEqual({ q: '4711', tag: ['1'] });
  });

  it('leaves nothing behind for an empty search', () => {
    expect(parseDevicesSearch({ q: '  ' })).toEqual({});
    expect(parseOperationsSearch({ state: [] })).toEqual({});
    expect(parseDeviceSearch({ tab: 'nonsense' })).toEqual({});
  });

  it('never leads from the sign-in to another site', () => {
    expect(parseSignInSearch({ to: '/devices?q=1' })).toEqual({ to: '/devices?q=1' });
    for (const to of ['//evil.example', 'https://evil.example', '/\\evil.example', 'javascript:alert(1)']) {
      expect(parseSignInSearch({ to })).toEqual({});
    }
  });
});

import { describe, expect, it } from 'vitest';
import { holdsSecret } from './operations';

const MASK = '********';

describe('an operation that told a secret', () => {
  it('is known by the mask in any of its values', () => {
    expect(holdsSecret({ kind: 'set', allow_partial: false, parameters: [{ path: 'Device.A.B', value: 'x' }, { path: 'Device.A.Password', value: MASK }] })).toBe(true);
    expect(holdsSecret({ kind: 'add', object: 'Device.Users.User.', parameters: [{ name: 'Password', value: MASK }] })).toBe(true);
    expect(holdsSecret({ kind: 'operate', command: 'Device.X.Go()', input: { Password: MASK } })).toBe(true);
  });

  it('is none without it', () => {
    expect(holdsSecret({ kind: 'set', allow_partial: false, parameters: [{ path: 'Device.A.B', value: 'x' }] })).toBe(false);
    expect(holdsSecret({ kind: 'operate', command: 'Device.Reboot()', input: {} })).toBe(false);
    expect(holdsSecret({ kind: 'get', paths: ['Device.'] })).toBe(false);
  });
});

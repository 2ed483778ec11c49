import { describe, expect, it } from 'vitest';
import { presenceTones, shownWord, waitOf } from './presence-words';

const at = (minute: number) => `2026-01-01T00:${String(minute).padStart(2, '0')}:00Z`;
const now = Date.parse(at(10));

describe('the presence of a device', () => {
  it('is no loss while it is where we sent it', () => {
    expect(shownWord({ word: 'offline', expected_by: at(15) }, now)).toBe('back');
    expect(presenceTones[shownWord({ word: 'offline', expected_by: at(15) }, now)]).not.toBe('bad');
  });

  it('is a loss when it is not back in time, or was not sent', () => {
    expect(shownWord({ word: 'offline', expected_by: at(9) }, now)).toBe('offline');
    expect(shownWord({ word: 'offline', expected_by: null }, now)).toBe('offline');
  });

  it('is what the server says otherwise', () => {
    for (const word of ['online', 'silent', 'never'] as const) expect(shownWord({ word, expected_by: at(15) }, now)).toBe(word);
  });
});

describe('an operation for a device', () => {
  it('waits for nothing when the link is open', () => {
    expect(waitOf({ word: 'online', linked: true, expected_by: null }, now)).toBe('none');
  });

  it('waits for the next visit of one that comes at intervals', () => {
    expect(waitOf({ word: 'online', linked: false, expected_by: at(15) }, now)).toBe('interval');
  });

  it('waits for one that was sent away, is late, or is gone', () => {
    expect(waitOf({ word: 'offline', linked: false, expected_by: at(15) }, now)).toBe('back');
    expect(waitOf({ word: 'silent', linked: false, expected_by: at(9) }, now)).toBe('gone');
    expect(waitOf({ word: 'silent', linked: true, expected_by: null }, now)).toBe('gone');
    expect(waitOf({ word: 'offline', linked: false, expected_by: null }, now)).toBe('gone');
  });
});

import { expect, test } from 'vitest';
import { actorName } from './actor';

test('people are named, whether they came themselves or by a token', () => {
  expect(actorName('user:ada')).toBe('ada');
  expect(actorName('user:ada token:01a20379-74ce-7000-8000-000000000001')).toBe('ada');
  expect(actorName('system')).toBe('system');
});

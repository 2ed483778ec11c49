import { describe, expect, it } from 'vitest';
import { asProblem, problemOf } from './problem';

const answer = (status: number, headers?: Record<string, string>) => new Response(null, { status, headers });

describe('problems', () => {
  it('takes kind, sentence, fields and request id from problem details', () => {
    const problem = problemOf(answer(422), {
      type: 'urn:headend:problem:invalid',
      title: 'Some fields are not valid',
      status: 422,
      detail: 'One value is out of range.',
      instance: 'req-1',
      errors: [{ field: 'ops[0].parameters[0].value', location: 'body', problem: '300 is more than 255' }],
    });
    expect(problem.code).toBe('invalid');
    expect(problem.refuser).toBe('request');
    expect(problem.requestId).toBe('req-1');
    expect(problem.fields).toEqual([{ at: 'ops[0].parameters[0].value', message: '300 is more than 255' }]);
  });

  it('says something useful when a proxy answers with no problem details', () => {
    const problem = problemOf(answer(502), '<html>');
    expect(problem.title).toMatch(/proxy/);
    expect(problem.refuser).toBe('server');
  });

  it('knows how long to wait', () => {
    expect(problemOf(answer(429), { retry_after_seconds: 7 }).retryAfter).toBe(7);
    expect(problemOf(answer(429, { 'retry-after': '3' }), {}).retryAfter).toBe(3);
  });

  it('calls a failed fetch what it is', () => {
    expect(asProblem(new TypeError('Failed to fetch')).refuser).toBe('network');
  });
});

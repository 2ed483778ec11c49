import { describe, expect, it } from 'vitest';
import { answered } from './client';
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

  it('blames the network only for requests that nothing answered', async () => {
    const nothing = () => Promise.reject(new TypeError('Failed to fetch'));
    const lost = await answered(nothing)(new Request('http://localhost/')).catch((error: unknown) => error);
    expect(asProblem(lost).refuser).toBe('network');
    expect(asProblem(new TypeError("Cannot read properties of undefined (reading 'map')")).refuser).toBe('console');
  });

  it('lets an abandoned request be one', async () => {
    const abandoned = new DOMException('gone', 'AbortError');
    await expect(answered(() => Promise.reject(abandoned))(new Request('http://localhost/'))).rejects.toBe(abandoned);
  });
});

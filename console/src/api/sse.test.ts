import { describe, expect, it } from 'vitest';
import { LINE_CHARS_MAX, StreamParser, type StreamEvent } from './sse';

function parse(...pieces: string[]): { events: StreamEvent[]; parser: StreamParser } {
  const events: StreamEvent[] = [];
  const parser = new StreamParser((event) => events.push(event));
  for (const piece of pieces) parser.feed(piece);
  return { events, parser };
}

describe('the event stream parser', () => {
  it('reads id, type and several data lines', () => {
    const { events } = parse('id: 7\nevent: device\ndata: {"a":1,\ndata: "b":2}\n\n');
    expect(events).toEqual([{ id: '7', type: 'device', data: '{"a":1,\n"b":2}' }]);
  });

  it('does not care where the text is cut', () => {
    const text = 'id: 1\r\ndata: x\r\n\r\nid: 2\r\ndata: y\r\n\r\n';
    const { events } = parse(...text.split(''));
    expect(events.map((e) => [e.id, e.data])).toEqual([['1', 'x'], ['2', 'y']]);
  });

  it('counts comments and makes no event of them', () => {
    const { events, parser } = parse(': still here\n\n: again\n\n');
    expect(events).toEqual([]);
    expect(parser.comments).toBe(2);
  });

  it('keeps the last id for events without one', () => {
    const { events } = parse('id: 9\ndata: a\n\ndata: b\n\n');
    expect(events[1]?.id).toBe('9');
  });

  it('takes the retry time the server asks for', () => {
    expect(parse('retry: 2500\n\n').parser.retry).toBe(2500);
  });

  it('gives up on a line without end', () => {
    expect(() => parse('data: ' + 'x'.repeat(LINE_CHARS_MAX))).toThrow(/too long/);
  });
});

// A parser for text/event-stream, pure: bytes of text in, events out.

export interface StreamEvent {
  id: string | undefined;
  type: string;
  data: string;
}

/** Longest line kept; a stream that sends more without a line end is broken. */
export const LINE_CHARS_MAX = 1_000_000;

/** Feeds text of any cut; calls back for each complete event. Comments (heartbeats) are only counted. */
export class StreamParser {
  retry: number | undefined;
  comments = 0;
  private buffer = '';
  private data: string[] = [];
  private type = '';
  private id: string | undefined;

  constructor(private readonly onEvent: (event: StreamEvent) => void) {}

  feed(text: string): void {
    this.buffer += text;
    if (this.buffer.length > LINE_CHARS_MAX) throw new Error('a line of the event stream is too long');
    // A CR at the very end may be half of a CRLF: wait for what follows.
    const end = this.buffer.endsWith('\r') ? this.buffer.length - 1 : this.buffer.length;
    const lines = this.buffer.slice(0, end).split(/\r\n|\n|\r/);
    const rest = lines.pop() ?? '';
    this.buffer = rest + this.buffer.slice(end);
    for (const line of lines) this.line(line);
  }

  private line(line: string): void {
    if (line === '') {
      if (this.data.length > 0) {
        this.onEvent({ id: this.id, type: this.type || 'message', data: this.data.join('\n') });
      }
      this.data = [];
      this.type = '';
      return;
    }
    if (line.startsWith(':')) {
      this.comments += 1;
      return;
    }
    const colon = line.indexOf(':');
    const field = colon < 0 ? line : line.slice(0, colon);
    const raw = colon < 0 ? '' : line.slice(colon + 1);
    const value = raw.startsWith(' ') ? raw.slice(1) : raw;
    if (field === 'data') this.data.push(value);
    else if (field === 'event') this.type = value;
    else if (field === 'id' && !value.includes('\0')) this.id = value;
    else if (field === 'retry' && /^\d+$/.test(value)) this.retry = Number(value);
  }
}

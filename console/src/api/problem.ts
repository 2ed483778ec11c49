// What went wrong with a request, in the shape the pages show: who refused, what to do, where.
// Problem details (RFC 9457) when the server answered; the network when nothing did; and the console itself
// when its own code failed.

/** Who said no. */
export type Refuser = 'network' | 'console' | 'server' | 'request' | 'permission' | 'session' | 'conflict' | 'limit';

export interface FieldProblem {
  /** Which field, like `ops[0].parameters[1].value`; empty when it is about the whole request. */
  at: string;
  message: string;
}

/** The kind of a fault in the console's own code. */
const CONSOLE = 'console';

/** A failed request. `title` is one sentence; `detail` says more when there is more. */
export class Problem extends Error {
  readonly status: number;
  readonly code: string;
  readonly title: string;
  readonly detail: string | undefined;
  readonly fields: FieldProblem[];
  readonly requestId: string | undefined;
  readonly retryAfter: number | undefined;

  constructor(init: {
    status: number;
    code?: string;
    title: string;
    detail?: string;
    fields?: FieldProblem[];
    requestId?: string;
    retryAfter?: number;
  }) {
    super(init.detail ? `${init.title}: ${init.detail}` : init.title);
    this.name = 'Problem';
    this.status = init.status;
    this.code = init.code ?? '';
    this.title = init.title;
    this.detail = init.detail;
    this.fields = init.fields ?? [];
    this.requestId = init.requestId;
    this.retryAfter = init.retryAfter;
  }

  get refuser(): Refuser {
    if (this.code === CONSOLE) return 'console';
    if (this.status === 0) return 'network';
    if (this.status === 401) return 'session';
    if (this.status === 403) return 'permission';
    if (this.status === 409 || this.status === 412) return 'conflict';
    if (this.status === 413 || this.status === 429) return 'limit';
    return this.status >= 500 ? 'server' : 'request';
  }
}

const plainTitles: Record<number, string> = {
  400: 'The server did not understand this request',
  401: 'You are signed out',
  403: 'You may not do this',
  404: 'This does not exist, or not for you',
  409: 'This conflicts with the present state',
  413: 'This is too large',
  422: 'Something in this is not right',
  429: 'Too many requests in a short time',
  500: 'The server failed',
  502: 'The server behind the proxy does not answer',
  503: 'The server is not ready',
  504: 'The server took too long',
};

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function fieldsOf(value: unknown): FieldProblem[] {
  if (!Array.isArray(value)) return [];
  return value.flatMap((entry: unknown) => {
    if (typeof entry !== 'object' || entry === null) return [];
    const e = entry as Record<string, unknown>;
    const message = textOf(e.problem);
    return message ? [{ at: textOf(e.field) ?? '', message }] : [];
  });
}

/** Makes a Problem of an error answer; `body` is what could be parsed of it. */
export function problemOf(response: Response, body: unknown): Problem {
  const b = typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : {};
  const retry = Number(b.retry_after_seconds ?? response.headers.get('retry-after'));
  return new Problem({
    status: response.status,
    code: textOf(b.type)?.replace(/^.*:/, '') ?? '',
    title: textOf(b.title) ?? plainTitles[response.status] ?? `The server answered ${response.status}`,
    detail: textOf(b.detail) ?? (typeof body === 'string' ? textOf(body.slice(0, 300)) : undefined),
    fields: fieldsOf(b.errors),
    requestId: textOf(b.instance) ?? response.headers.get('x-request-id') ?? undefined,
    retryAfter: Number.isFinite(retry) && retry > 0 ? retry : undefined,
  });
}

/** Nothing answered a request. */
export function unreachable(): Problem {
  return new Problem({
    status: 0,
    title: 'The server cannot be reached',
    detail: 'Nothing answered this request. It is safe to try again.',
  });
}

/** Anything thrown, as a Problem. What is none is a fault of the console: the network is never blamed for it. */
export function asProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  return new Problem({
    status: 0,
    code: CONSOLE,
    title: 'The console failed',
    detail: error instanceof Error ? `${error.name}: ${error.message}` : String(error),
  });
}

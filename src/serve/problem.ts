import { FqvitError, ImageError, RuntimeError, UsageError } from '../errors.js';

/** Ends a request with an answer other than 200: an RFC 9457 document with a stable `code`. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly headers: Readonly<Record<string, string>> = {},
  ) {
    super(message);
  }

  readonly type = 'application/problem+json';

  get title(): string {
    return TITLES[this.status]!;
  }

  get document(): object {
    const { title, status, message: detail, code } = this;
    return { title, status, detail, code };
  }

  toResponse(): Response {
    return Response.json(this.document, {
      status: this.status,
      headers: { ...this.headers, 'content-type': this.type },
    });
  }
}

const TITLES: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  413: 'Content Too Large',
  415: 'Unsupported Media Type',
  422: 'Unprocessable Content',
  431: 'Request Header Fields Too Large',
  500: 'Internal Server Error',
  501: 'Not Implemented',
  503: 'Service Unavailable',
};

/** The problem as the client may see it: internal errors are not explained. */
export function problemOf(error: unknown): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof ImageError) return new Problem(422, error.code, error.message);
  if (error instanceof RuntimeError && error.code === 'POOL_LIMIT') {
    return new Problem(
      503,
      'IMAGE_TIME',
      'image: expected one that is classified in time, found one that takes longer',
      {
        'retry-after': '1',
      },
    );
  }
  if (error instanceof UsageError && error.code === 'DISPOSED') return stoppingProblem();
  const code = error instanceof FqvitError ? error.code : 'INTERNAL';
  return new Problem(
    500,
    code,
    'service: expected an answer of the model, found a fault, which its log tells',
  );
}

export function stoppingProblem(): Problem {
  return new Problem(503, 'STOPPING', 'service: expected one that runs, found one that stops', {
    'retry-after': '1',
    connection: 'close',
  });
}

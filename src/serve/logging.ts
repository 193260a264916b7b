import type { MiddlewareHandler } from 'hono';
import type { AppOptions } from './options.js';
import { ROUTES } from './paths.js';
import type { Problem } from './problem.js';

/** What a request contributes to the log. */
export interface Env {
  Variables: { images: number; refused: number; problem?: Problem };
}

/** Gives every answer its id and headers, and reports it. */
export function logAnswers({
  isStopping = () => false,
  onAnswer = () => {},
}: AppOptions): MiddlewareHandler<Env> {
  return async (c, next) => {
    const start = performance.now();
    const { method } = c.req;
    const id = requestId(c.req.header('x-request-id'));
    c.set('images', 0);
    c.set('refused', 0);
    await next();
    c.header('x-request-id', id);
    c.header('x-content-type-options', 'nosniff');
    if (isStopping()) c.header('connection', 'close');
    const problem = c.get('problem');
    onAnswer({
      id,
      method,
      route: ROUTES.has(c.req.path) ? c.req.path : 'other',
      status: c.res.status,
      ms: performance.now() - start,
      images: c.get('images'),
      refused: c.get('refused'),
      ...(problem === undefined ? {} : { code: problem.code }),
      ...(problem?.status === 500 ? { error: c.error } : {}),
    });
  };
}

/** The client's id, if it is fit for a log. */
function requestId(given: string | undefined): string {
  return given !== undefined && /^[\w.:-]{1,64}$/.test(given) ? given : crypto.randomUUID();
}

import { getPath } from 'hono/utils/url';
import { Problem } from './problem.js';

/** The paths and methods of the service. */
export const ROUTES: ReadonlyMap<string, string> = new Map([
  ['/', 'GET, HEAD'],
  ['/try.js', 'GET, HEAD'],
  ['/try.css', 'GET, HEAD'],
  ['/openapi.json', 'GET, HEAD'],
  ['/healthz', 'GET, HEAD'],
  ['/readyz', 'GET, HEAD'],
  ['/metrics', 'GET, HEAD'],
  ['/v1/models', 'GET, HEAD'],
  ['/v1/classify', 'POST'],
]);

/** Without a Host, which HTTP/1.0 allows, Bun's `url` is only the path. */
export function pathOf(request: Request): string {
  const { url } = request;
  return getPath(url.startsWith('/') ? ({ url: `http://localhost${url}` } as Request) : request);
}

/** Why no route takes a request: 404 for its path, or 405 for its method. */
export function noRoute(path: string, method: string): Problem {
  const known = ROUTES.get(path);
  if (known === undefined) return noPath();
  return new Problem(405, 'METHOD', `method: expected ${known}, found ${method}`, { allow: known });
}

export function noPath(): Problem {
  return new Problem(404, 'PATH', 'path: expected one of the service, found another');
}

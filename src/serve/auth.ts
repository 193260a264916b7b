import type { MiddlewareHandler } from 'hono';
import { sha256 } from '../platform/sha256.js';
import { Problem } from './problem.js';

/** Refuses requests without the bearer token: 401 `TOKEN`. */
export function requireToken(token: string): MiddlewareHandler {
  // compares digests, which takes the same time for any input
  const expected = digest(token);
  return async (c, next) => {
    const given = /^Bearer +(.+)$/i.exec(c.req.header('authorization') ?? '')?.[1];
    if (given === undefined || (await digest(given)) !== (await expected)) {
      const message = 'authorization: expected the bearer token of the service, found none or another';
      throw new Problem(401, 'TOKEN', message, { 'www-authenticate': 'Bearer' });
    }
    await next();
  };
}

/** Refuses another Host than a name and a port: 400 `REQUEST`. */
export const requireHost: MiddlewareHandler = async (c, next) => {
  // Deno and Bun make it part of the address, where a "/" or "?" would change the path
  if (!/^[\w.:[\]-]*$/.test(c.req.header('host') ?? '')) {
    const message = 'request: expected a name or address and a port as Host, found another';
    throw new Problem(400, 'REQUEST', message);
  }
  await next();
};

const digest = (text: string) => sha256(new TextEncoder().encode(text));

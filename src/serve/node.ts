import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import { RuntimeError } from '../errors.js';
import { systemReason } from '../platform/system-reason.js';

export interface ListenOptions {
  readonly port: number;
  readonly host: string;
  /** Of a request, milliseconds: connections that take longer to send one are cut. */
  readonly timeoutMs: number;
  /** Connections at a time; others wait for the operating system. */
  readonly maxConnections: number;
}

/** A service that listens. */
export interface Listening {
  readonly url: string;
  /** Takes no more requests, waits for those that are there, at most so long, and ends. */
  stop(graceMs: number): Promise<void>;
}

/**
 * Serves an app by Node's HTTP server.
 *
 * @throws RuntimeError `LISTEN`
 */
export async function listen(
  app: { fetch(request: Request): Response | Promise<Response> },
  { port, host, timeoutMs, maxConnections }: ListenOptions,
): Promise<Listening> {
  const server = createAdaptorServer({
    fetch: app.fetch,
    serverOptions: {
      requestTimeout: timeoutMs,
      headersTimeout: Math.min(timeoutMs, 10_000),
      connectionsCheckingInterval: 1000,
    },
  }) as Server;
  server.maxConnections = maxConnections;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => {
      const text = `${host}:${port}: expected an address to listen at, found ${systemReason(cause)}`;
      reject(new RuntimeError('LISTEN', text, { cause }));
    });
    server.listen(port, host, resolve);
  });
  const { address, port: taken, family } = server.address() as AddressInfo;
  return {
    url: `http://${family === 'IPv6' ? `[${address}]` : address}:${taken}`,
    async stop(graceMs) {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      const timer = setTimeout(() => server.closeAllConnections(), graceMs);
      await closed;
      clearTimeout(timer);
    },
  };
}

import { createServer, type RequestListener, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { getRequestListener, type HttpBindings, RequestError } from '@hono/node-server';
import { RuntimeError } from '../errors.js';
import { LONGEST_TIMER_MS } from '../platform/longest-timer.js';
import { systemReason } from '../platform/system-reason.js';
import { Connections } from './connections.js';
import { Problem, problemOf } from './problem.js';
import { putTogether } from './small-chunks.js';

export interface ListenOptions {
  readonly port: number;
  readonly host: string;
  /** Milliseconds per request. Connections that send or read more slowly are cut. */
  readonly timeoutMs: number;
  /** Most connections. The next one replaces one without work. */
  readonly maxConnections: number;
}

/** A service that listens. */
export interface Listening {
  readonly url: string;
  /** Refuses new requests, waits at most this long for complete ones, and ends. */
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
  const connections = new Connections(maxConnections);
  const fetch = async (request: Request, bindings: unknown) => {
    const { incoming, outgoing } = bindings as HttpBindings;
    const response = await app.fetch(request);
    // the next request would have to wait for the rest of the body
    if (!incoming.complete) (outgoing as ServerResponse).shouldKeepAlive = false;
    return response;
  };
  const answer = connections.inTurn(
    // HTTP/1.0 has no Host, and nothing here depends on one
    withHost(getRequestListener(fetch, { errorHandler, hostname: 'localhost' })),
  );
  const listener: RequestListener = (request, response) => {
    if (request.headers['transfer-encoding'] !== undefined) putTogether(request);
    answer(request, response);
  };
  const server = createServer(
    {
      requestTimeout: timeoutMs,
      headersTimeout: Math.min(timeoutMs, 10_000),
      connectionsCheckingInterval: 1000,
      requireHostHeader: false, // Node's refusal is not a problem document
    },
    listener,
  );
  server.on('checkContinue', (request, response) => {
    continueWithBody(request, response);
    listener(request, response);
  });
  server.on('connection', (socket) => connections.add(socket));
  server.on('clientError', (error, socket) => {
    if (connections.isLingering(socket as Socket)) return;
    if (refuse(error, socket)) connections.linger(socket as Socket);
  });
  // ends answers that the client does not read
  server.timeout = Math.min(2 * timeoutMs, LONGEST_TIMER_MS);
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
      connections.stop();
      const timer = setTimeout(() => server.closeAllConnections(), graceMs);
      await closed;
      clearTimeout(timer);
    },
  };
}

/** Answers a request that does not reach the app. */
function errorHandler(error: unknown): Response {
  const problem =
    error instanceof RequestError
      ? new Problem(400, 'REQUEST', `request: expected a path and a host, found none: ${error.message}`)
      : problemOf(error);
  return problem.toResponse();
}

/** Sends "100 Continue" only when the body is read: a refusal needs no body. */
const continueWithBody: RequestListener = (request, response) => {
  const read = request._read;
  request._read = (size) => {
    request._read = read;
    if (!response.headersSent) response.writeContinue();
    request._read(size);
  };
};

/**
 * Answers input that Node's parser refuses: not HTTP, too long or too slow.
 *
 * @returns whether it sent an answer
 */
function refuse(error: NodeJS.ErrnoException, socket: Duplex): boolean {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return false;
  }
  const [status, found] = PARSER_FAULTS[error.code ?? ''] ?? [400, 'other bytes'];
  const problem = new Problem(status, 'REQUEST', `request: expected one of HTTP/1.1, found ${found}`);
  const { title, type, document } = problem;
  const body = JSON.stringify(document);
  socket.write(
    `HTTP/1.1 ${status} ${title}\r\ncontent-type: ${type}\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`,
  );
  return true;
}

const PARSER_FAULTS: Readonly<Record<string, readonly [status: number, found: string]>> = {
  HPE_HEADER_OVERFLOW: [431, 'a head that is too long'],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'a part of one'],
};

/**
 * Refuses requests without exactly one Host, except in HTTP/1.0, which health checks of load
 * balancers use.
 */
function withHost(answer: RequestListener): RequestListener {
  return (request, response) => {
    const hosts = request.headersDistinct.host?.length ?? 0;
    if (hosts === 1 || (hosts === 0 && request.httpVersion === '1.0')) {
      answer(request, response);
      return;
    }
    const problem = new Problem(400, 'REQUEST', `request: expected one Host header, found ${hosts}`);
    response.writeHead(400, { 'content-type': problem.type, connection: 'close' });
    response.end(JSON.stringify(problem.document));
  };
}

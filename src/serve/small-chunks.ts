import type { IncomingMessage } from 'node:http';

/** Chunks below this are put together. */
const SMALL = 1024;

/** Chunks a request may send before their size counts. */
const FEW = 4096;

/** The least size of chunks, on average. */
const LEAST = 16;

/**
 * Hands the app few large parts of a body in place of many small chunks, each of which takes microseconds on its way through streams.
 * Chunks of a few bytes take long even to parse: who sends nothing else is cut.
 */
export function putTogether(request: IncomingMessage): void {
  const push = request.push.bind(request);
  let held = Buffer.alloc(0);
  let length = 0;
  let chunks = 0;
  let bytes = 0;
  const flush = () => {
    if (length === 0) return true;
    const part = held.subarray(0, length);
    held = Buffer.alloc(0);
    length = 0;
    return push(part);
  };
  request.push = (chunk: Buffer | null) => {
    if (chunk === null) {
      flush();
      return push(null);
    }
    bytes += chunk.length;
    if (++chunks > FEW && bytes < LEAST * chunks) {
      request.socket.destroy();
      return false;
    }
    if (chunk.length >= SMALL) {
      flush();
      return push(chunk);
    }
    if (length === 0) {
      held = Buffer.allocUnsafeSlow(16 * SMALL);
      setImmediate(() => request.destroyed || flush());
    }
    length += chunk.copy(held, length);
    return length <= held.length - SMALL || flush();
  };
}

import type { IncomingMessage } from 'node:http';

/** Smaller chunks are joined. */
const SMALL = 1024;

/** Chunks that a request may send before their size counts. */
const FEW = 4096;

/** The smallest average size of chunks. */
const LEAST = 16;

/**
 * Passes a body to the app in few large parts, because each chunk costs microseconds in streams.
 * Chunks of a few bytes are slow even to parse: a client that sends nothing else is cut.
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

// The digest in workerd, as the response to a request. `/first` only loads and answers once: the
// caller measures it, since the clock of workerd stands still.
import { load } from '../../dist/index.js';
import { digest, first } from './digest.mjs';

/** @param files ArrayBuffers by path: an isolate has no disk */
export function worker(files, models) {
  const read = async (path) => new Uint8Array(files[path]);
  return {
    async fetch(request) {
      try {
        if (new URL(request.url).pathname === '/first') {
          await first({ load, read });
          return new Response();
        }
        return Response.json(await digest({ load, read, models }));
      } catch (error) {
        return Response.json({ error: String(error?.stack ?? error) });
      }
    },
  };
}

// The digest in workerd, as the answer to a request.
import { load } from '../../dist/index.js';
import { digest } from './digest.mjs';

/** @param files ArrayBuffers by their paths: an isolate has no disk */
export function worker(files, models) {
  const read = async (path) => new Uint8Array(files[path]);
  return {
    async fetch() {
      try {
        return Response.json(await digest({ load, read, models }));
      } catch (error) {
        return Response.json({ error: String(error?.stack ?? error) });
      }
    },
  };
}

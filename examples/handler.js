// Classifies the photo that is posted: Request → Response, the same lines in workerd, Deno and Bun.
import { ImageError, load } from 'fqvit';

/** Of a body, and of the picture in it: an isolate has 128 MB, of which a JPEG of 8 megapixels takes 90 while it is decoded. */
const MAX_BYTES = 8 * 2 ** 20;
const MAX_PIXELS = 8e6;

const USAGE = 'POST a JPEG, PNG or WebP photo: { predictions: [{ index, label, probability }], ms }\n';

/** @param source whatever `load` takes; it is loaded once, with the first photo */
export function createHandler(source) {
  let loading;
  return async (request) => {
    if (request.method === 'GET') return new Response(USAGE);
    if (request.method !== 'POST') {
      const message = `method: expected GET or POST, found ${request.method}`;
      return refusal(405, 'METHOD', message, { allow: 'GET, POST' });
    }
    const photo = await readBody(request);
    if (photo === undefined) {
      return refusal(413, 'BODY_TOO_LARGE', `body: expected at most ${MAX_BYTES} bytes, found more`);
    }
    loading ??= load(source);
    const model = await loading;
    const start = performance.now();
    try {
      const predictions = await model.classify(photo, { maxPixels: MAX_PIXELS });
      return Response.json({ predictions, ms: performance.now() - start });
    } catch (error) {
      if (error instanceof ImageError) return refusal(422, error.code, error.message);
      throw error;
    }
  };
}

const refusal = (status, code, message, headers = {}) =>
  Response.json({ code, message }, { status, headers });

/** The body as a Blob; undefined, with the rest unread, where it is too long: what the sender says of its length is not enough. */
async function readBody({ headers, body }) {
  if (Number(headers.get('content-length')) > MAX_BYTES) return undefined;
  const parts = [];
  let length = 0;
  for await (const part of body ?? []) {
    length += part.length;
    if (length > MAX_BYTES) return undefined;
    parts.push(part);
  }
  return new Blob(parts);
}

// The digest in a browser, with a policy that only lets a page compile WebAssembly, and every
// source of images. Posts the results to the server of the page. Parameters `model`: more models.
import { load } from '../../dist/browser/fqvit.js';
import { digest, MODELS } from './digest.mjs';

const root = new URL('../../', import.meta.url);
const read = async (path) => new Uint8Array(await (await fetch(new URL(path, root))).arrayBuffer());
const violations = [];
addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) =>
  violations.push(`${violatedDirective} ${blockedURI}`),
);

/** The codes of one picture from every kind of source that `ImageSource` names. */
async function sources() {
  const path = '../../test/image/fixtures/lossless.webp';
  const url = new URL(path, import.meta.url);
  const get = () => fetch(url);
  const blob = await (await get()).blob();
  const bitmap = await createImageBitmap(blob);
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height).getContext('2d');
  canvas.drawImage(bitmap, 0, 0);
  const data = canvas.getImageData(0, 0, bitmap.width, bitmap.height);
  const frame = typeof VideoFrame === 'function' ? new VideoFrame(bitmap, { timestamp: 0 }) : undefined;
  const images = {
    path,
    url,
    text: url.href,
    buffer: await blob.arrayBuffer(),
    bytes: new Uint8Array(await blob.arrayBuffer()),
    blob,
    file: new File([blob], 'photo.webp'),
    response: await get(),
    stream: (await get()).body,
    ImageData: data,
    ImageBitmap: bitmap,
    ...(frame && { VideoFrame: frame }),
  };
  const model = await load(new URL(MODELS[0], root));
  const codes = {};
  for (const [kind, image] of Object.entries(images)) codes[kind] = String(await model.codes(image));
  bitmap.close();
  codes.closed = await model.codes(bitmap).catch((error) => `${error.code}: ${error.message}`);
  frame?.close();
  model.dispose();
  return codes;
}

/** Keeps a model by its digest. @returns the number of downloads and of models in the cache */
async function kept() {
  const url = new URL(MODELS[0], root);
  const bytes = new Uint8Array(await crypto.subtle.digest('SHA-256', await read(MODELS[0])));
  const sha256 = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  const loads = [];
  for (let i = 0; i < 2; i++) {
    const { length } = performance.getEntriesByName(url.href);
    (await load(url, { sha256 })).dispose();
    loads.push(performance.getEntriesByName(url.href).length - length);
  }
  return { loads, models: (await (await caches.open('fqvit')).keys()).length };
}

const post = (result) => fetch('/result', { method: 'POST', body: JSON.stringify(result) });
try {
  const models = new URLSearchParams(location.search).getAll('model');
  const one = await digest({ load, read, models });
  const two = await digest({ load, read, models, tiers: ['simd'], threads: 2 });
  const { userAgent } = navigator;
  await post({
    ...one,
    two,
    sources: await sources(),
    kept: await kept(),
    violations,
    userAgent,
    isolated: crossOriginIsolated,
  });
} catch (error) {
  await post({ error: String(error?.stack ?? error), violations });
}

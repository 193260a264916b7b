import type { ModelCache } from './model-cache.js';

/** The Cache API, under the name `fqvit`; undefined without one, as in an insecure page. */
export function cacheFor(_source: string | URL): ModelCache | undefined {
  if (typeof caches === 'undefined') return undefined;
  // its keys are addresses; this one belongs to nobody
  const key = (sha256: string) => `https://fqvit.invalid/${sha256}`;
  return {
    async get(sha256) {
      const kept = await (await caches.open('fqvit')).match(key(sha256));
      return kept && new Uint8Array(await kept.arrayBuffer());
    },
    async put(sha256, bytes) {
      await (await caches.open('fqvit')).put(key(sha256), new Response(bytes as BodyInit));
    },
  };
}

import type { ModelCache } from './model-cache.js';

/** The Cache API, under the name `fqvit`. Undefined where there is none, as in a page that is not secure. */
export function cacheFor(_source: string | URL): ModelCache | undefined {
  if (typeof caches === 'undefined') return undefined;
  // its keys are addresses; this one is nobody's
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

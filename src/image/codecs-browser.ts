import { compile } from '../platform/compile.js';
import { fetchWasm } from '../platform/fetch-wasm.js';
import { createImageCodecs } from './codec.js';

/** The default decoders, shared by all calls. Each is fetched on first use. */
export const sharedCodecs = createImageCodecs({
  jpeg: async () => compile(await fetchWasm(new URL('../../wasm/jpeg.wasm', import.meta.url))),
  webp: async () => compile(await fetchWasm(new URL('../../wasm/webp.wasm', import.meta.url))),
});

import jpeg from '../../wasm/jpeg.wasm';
import webp from '../../wasm/webp.wasm';
import { createImageCodecs } from './codec.js';

/** The decoders that calls share when none are given to them, compiled when the worker is deployed. */
export const sharedCodecs = createImageCodecs({ jpeg: async () => jpeg, webp: async () => webp });

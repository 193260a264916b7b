import jpeg from '../../wasm/jpeg.wasm';
import webp from '../../wasm/webp.wasm';
import { createImageCodecs } from './codec.js';

/** The default decoders, shared by all calls. They are compiled when the worker is deployed. */
export const sharedCodecs = createImageCodecs({ jpeg: async () => jpeg, webp: async () => webp });

import { readFileSync } from 'node:fs';
import type { WasmName } from '../../src/runtime/wasm-node.js';

export const readModule = (name: WasmName): Uint8Array<ArrayBuffer> =>
  new Uint8Array(readFileSync(new URL(`../../wasm/fqvit.${name}.wasm`, import.meta.url)));

/** The integer kernel modules, and those that this engine runs. */

import { readFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import type { Tier } from '../../src/runtime/kernels.js';
import type { WasmName } from '../../src/runtime/wasm-node.js';

export const readModule = (name: WasmName): Uint8Array<ArrayBuffer> =>
  new Uint8Array(readFileSync(new URL(`../../wasm/fqvit.${name}.wasm`, import.meta.url)));

export const ALL_TIERS: readonly Tier[] = ['scalar', 'simd', 'relaxed'];

/** Node 20 needs a flag for relaxed SIMD. Node 22 has it by default and may not know the flag. */
function runs(tier: Tier): boolean {
  const wasm = readModule(tier);
  if (WebAssembly.validate(wasm)) return true;
  if (tier === 'relaxed') setFlagsFromString('--experimental-wasm-relaxed-simd');
  return WebAssembly.validate(wasm);
}

/** The tiers that this engine runs, the oracle first. */
export const TIERS = ALL_TIERS.filter(runs);

import { readFile } from 'node:fs/promises';
import { RuntimeError } from '../errors.js';
import type { Tier } from './kernels.js';

/** The kernel modules of the package: the integer tiers, those over shared memory, and the float kernels of calibration and baseline. */
export type WasmName = Tier | 'simd-threads' | 'relaxed-threads' | 'float';

/** @throws RuntimeError `WASM_MISSING` if the package has not been built */
export async function readWasm(name: WasmName): Promise<Uint8Array<ArrayBuffer>> {
  const url = new URL(`../../wasm/fqvit.${name}.wasm`, import.meta.url);
  try {
    return new Uint8Array(await readFile(url));
  } catch (cause) {
    throw new RuntimeError(
      'WASM_MISSING',
      `${url.pathname}: expected a kernel module; run \`npm run build\``,
      {
        cause,
      },
    );
  }
}

import { RuntimeError } from '../errors.js';
import type { Tier } from './kernels.js';

/** The modules of the package: integer tiers, those over shared memory, what chooses between them, and the float kernels. */
export type WasmName = Tier | 'simd-threads' | 'relaxed-threads' | 'probe' | 'float';

/** @throws RuntimeError `WASM_MISSING` if the package has not been built */
export async function readWasm(name: WasmName): Promise<Uint8Array<ArrayBuffer>> {
  const url = new URL(`../../wasm/fqvit.${name}.wasm`, import.meta.url);
  const { readFile } = await import('node:fs/promises');
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

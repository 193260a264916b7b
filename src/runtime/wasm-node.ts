import { readFile } from 'node:fs/promises';
import { RuntimeError } from '../errors.js';
import { compileKernels, type KernelModule } from './kernels.js';

/** The modules of the package: for inference, and the float kernels. */
export type WasmName = KernelModule | 'float';

/**
 * A module of the package in Node, Deno and Bun.
 *
 * @throws RuntimeError `WASM_MISSING` if the package has not been built, `WASM_MODULE` if the
 *   engine cannot compile it
 */
export async function packagedModule(name: KernelModule): Promise<WebAssembly.Module> {
  return compileKernels(await readWasm(name));
}

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

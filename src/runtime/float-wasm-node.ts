import { compileKernels } from './kernels.js';
import { readWasm } from './wasm-node.js';

/**
 * The float kernels in Node, Deno and Bun.
 *
 * @throws RuntimeError `WASM_MISSING` if the package has not been built
 */
export async function floatModule(): Promise<WebAssembly.Module> {
  return compileKernels(await readWasm('float'));
}

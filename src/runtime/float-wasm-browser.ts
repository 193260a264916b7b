import { fetchWasm } from '../platform/fetch-wasm.js';
import { compileKernels } from './kernels.js';

/** The float kernels by `fetch`. @throws RuntimeError `WASM_MISSING` if that fails */
export async function floatModule(): Promise<WebAssembly.Module> {
  return compileKernels(await fetchWasm(new URL('../../wasm/fqvit.float.wasm', import.meta.url)));
}

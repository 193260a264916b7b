import { fetchWasm } from '../platform/fetch-wasm.js';
import { compileKernels } from './kernels.js';

/** The float kernels, where there is `fetch` and no files. @throws RuntimeError `WASM_MISSING` if they cannot be fetched */
export async function floatModule(): Promise<WebAssembly.Module> {
  return compileKernels(await fetchWasm(new URL('../../wasm/fqvit.float.wasm', import.meta.url)));
}

import { fetchWasm } from '../platform/fetch-wasm.js';
import { compileKernels, type KernelModule } from './kernels.js';

/** Bundlers find the files by literal URLs. */
const URLS: { readonly [Name in KernelModule]: () => URL } = {
  scalar: () => new URL('../../wasm/fqvit.scalar.wasm', import.meta.url),
  simd: () => new URL('../../wasm/fqvit.simd.wasm', import.meta.url),
  relaxed: () => new URL('../../wasm/fqvit.relaxed.wasm', import.meta.url),
  'simd-threads': () => new URL('../../wasm/fqvit.simd-threads.wasm', import.meta.url),
  'relaxed-threads': () => new URL('../../wasm/fqvit.relaxed-threads.wasm', import.meta.url),
  probe: () => new URL('../../wasm/fqvit.probe.wasm', import.meta.url),
};

/**
 * A module of the package, compiled while it arrives, in browsers and other engines with `fetch`
 * and no files.
 *
 * @throws RuntimeError `WASM_MISSING` if it cannot be fetched, `WASM_MODULE` if the engine cannot
 *   compile it
 */
export async function packagedModule(name: KernelModule): Promise<WebAssembly.Module> {
  return compileKernels(await fetchWasm(URLS[name]()));
}

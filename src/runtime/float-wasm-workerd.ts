import float from '../../wasm/fqvit.float.wasm';

/** The float kernels in workerd. */
export async function floatModule(): Promise<WebAssembly.Module> {
  return float;
}

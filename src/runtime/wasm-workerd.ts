import probe from '../../wasm/fqvit.probe.wasm';
import relaxed from '../../wasm/fqvit.relaxed.wasm';
import scalar from '../../wasm/fqvit.scalar.wasm';
import simd from '../../wasm/fqvit.simd.wasm';
import type { KernelModule } from './kernels.js';

/** Compiled at deployment: an isolate may not compile. It has one thread. */
const MODULES: { readonly [Name in KernelModule]?: WebAssembly.Module } = { probe, relaxed, scalar, simd };

/** A module of the package in workerd. */
export async function packagedModule(name: KernelModule): Promise<WebAssembly.Module> {
  return MODULES[name]!;
}

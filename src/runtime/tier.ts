import { packagedModule } from '#runtime/wasm';
import { RuntimeError } from '../errors.js';
import { readBytes } from '../platform/bytes.js';
import type { WasmBinary } from '../platform/compile.js';
import { fetchWasm } from '../platform/fetch-wasm.js';
import { compileKernels, type KernelModule, type Tier } from './kernels.js';
import { compilable, isRelaxedFaster, relaxedFault } from './probe.js';

/** A tier and its module, compiled. */
export interface Chosen {
  readonly tier: Tier;
  readonly module: WebAssembly.Module;
}

/**
 * The widest weights that the relaxed tier multiplies differently from the simd tier
 * (assembly/gemm/gemm.relaxed.ts).
 */
export const NARROW_BITS = 7;

/**
 * The fastest tier that this engine computes correctly. It is found by a probe, never by the
 * engine's name. If the weights are too wide for the relaxed tier to differ from simd, no probe
 * runs.
 *
 * @param weightBits of the model
 * @param shared over memory that threads share, for which there is no scalar tier
 */
export async function chooseTier(weightBits: number, shared: boolean): Promise<Chosen> {
  if (weightBits <= NARROW_BITS && (await isRelaxedFaster())) return packaged('relaxed', shared);
  const simd = await compilable(moduleName('simd', shared));
  return simd === undefined ? packaged('scalar', shared) : { tier: 'simd', module: simd };
}

/** The options of `load` and `createPool`. */
export interface TierOptions {
  readonly tier?: Tier | undefined;
  readonly wasm?: WasmBinary | URL | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** The tier and module that the options name, else the fastest. @throws like `namedTier` */
export function tierFor(
  weightBits: number,
  shared: boolean,
  { tier, wasm, signal }: TierOptions,
): Promise<Chosen> {
  return tier === undefined && wasm === undefined
    ? chooseTier(weightBits, shared)
    : namedTier(tier ?? 'simd', shared, wasm, signal);
}

/** The requested tier. @throws RuntimeError `TIER` if the engine cannot compute it correctly */
export async function namedTier(
  tier: Tier,
  shared: boolean,
  wasm?: WasmBinary | URL,
  signal?: AbortSignal,
): Promise<Chosen> {
  const fault = tier === 'relaxed' ? await relaxedFault() : undefined;
  if (fault !== undefined) {
    throw new RuntimeError(
      'TIER',
      `tier: expected an engine that computes relaxed dot products exactly, found ${fault}`,
    );
  }
  if (wasm === undefined) return packaged(tier, shared);
  return { tier, module: await compileKernels(wasm instanceof URL ? await open(wasm, signal) : wasm) };
}

async function open(url: URL, signal?: AbortSignal): Promise<WasmBinary> {
  return url.protocol === 'file:' ? ((await readBytes(url)).bytes as BufferSource) : fetchWasm(url, signal);
}

async function packaged(tier: Tier, shared: boolean): Promise<Chosen> {
  return { tier, module: await packagedModule(moduleName(tier, shared)) };
}

function moduleName(tier: Tier, shared: boolean): KernelModule {
  return shared && tier !== 'scalar' ? `${tier}-threads` : tier;
}

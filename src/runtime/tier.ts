import { RuntimeError } from '../errors.js';
import { compileKernels, type IntegerKernels, instantiateKernels, type Tier } from './kernels.js';
import { readWasm, type WasmName } from './wasm-node.js';

/** A tier and its module, compiled. */
export interface Chosen {
  readonly tier: Tier;
  readonly module: WebAssembly.Module;
}

/** The widest weights that the relaxed tier multiplies otherwise than the simd tier (assembly/gemm/gemm.relaxed.ts). */
const NARROW_BITS = 7;

/**
 * The fastest tier that this engine computes rightly, found by asking it: a module that it cannot compile, or that gets a known
 * product wrong, is out, and of two that are right the faster one is taken. Where the weights are too wide for the relaxed tier
 * to differ, it is not even loaded.
 *
 * @param weightBits of the model
 * @param shared over memory that threads share; there is no scalar tier of it
 */
export async function chooseTier(weightBits: number, shared: boolean): Promise<Chosen> {
  const simd = await compiled('simd', shared);
  const relaxed = simd && weightBits <= NARROW_BITS ? await compiled('relaxed', shared) : undefined;
  if (simd === undefined) return { tier: 'scalar', module: await compileKernels(await readWasm('scalar')) };
  if (relaxed === undefined) return simd;
  const [a, b] = await Promise.all([Probe.of(simd, shared), Probe.of(relaxed, shared)]);
  return b.isExact() && b.isFasterThan(a) ? relaxed : simd;
}

/** The module of a tier; undefined where the engine does not have its instructions. */
async function compiled(tier: 'simd' | 'relaxed', shared: boolean): Promise<Chosen | undefined> {
  const bytes = await readWasm(moduleName(tier, shared));
  return WebAssembly.validate(bytes) ? { tier, module: await compileKernels(bytes) } : undefined;
}

/** The module of the package for a tier. */
export function moduleName(tier: Tier, shared: boolean): WasmName {
  return shared && tier !== 'scalar' ? `${tier}-threads` : tier;
}

/** @throws RuntimeError `TIER` where the module gets a known product wrong: the engine's compiler is at fault */
export async function expectExact(chosen: Chosen, shared: boolean): Promise<void> {
  if ((await Probe.of(chosen, shared)).isExact()) return;
  throw new RuntimeError(
    'TIER',
    `tier: expected an engine that computes the ${chosen.tier} tier exactly, found one that gets a known product wrong`,
  );
}

/** Rows, outputs and inputs of the product: a tile row is left over, and each call takes some 10 µs. */
const M = 33;
const N = 32;
const K = 192;
const AT = { a: 0, weight: 8192, packed: 16384, bias: 32768, multiplier: 33792, out: 36864, scratch: 65536 };
const PAGES = 3;
/** Codes and weights at the ends of their ranges, so that every sum on the way is as large as it can be. */
const CODES = [255, 255, 0, 255, 1, 255, 254, 255, 255];
const WEIGHTS = [63, 63, 63, 63, 63, -64, -64, 63, 62, 63, -63];
const ZERO = 128;
/** acc / 2^16: the sums are at most 192·128·64 = 3/2·2^20, and land anywhere in the 256 codes. */
const SHIFTS = [0, 46] as const;
const MULTIPLIER = 2 ** 30;

const CODE_AT = (i: number, t: number) => CODES[(i * 5 + t) % CODES.length]!;
const WEIGHT_AT = (j: number, t: number) => WEIGHTS[(j * 3 + t) % WEIGHTS.length]!;

/** How long one module is timed, in ms: enough for the engine's second compiler to take over, little beside the first photo. */
const BUDGET = 5;

/** A small linear layer of 7-bit weights on a module. */
class Probe {
  private constructor(
    private readonly kernels: IntegerKernels,
    private readonly memory: WebAssembly.Memory,
  ) {}

  static async of({ module }: Chosen, shared: boolean): Promise<Probe> {
    const memory = new WebAssembly.Memory({ initial: PAGES, maximum: PAGES, shared });
    const kernels = await instantiateKernels(module, memory);
    const bytes = new Uint8Array(memory.buffer);
    for (let i = 0; i < M; i++) for (let t = 0; t < K; t++) bytes[AT.a + i * K + t] = CODE_AT(i, t);
    for (let j = 0; j < N; j++) for (let t = 0; t < K; t++) bytes[AT.weight + j * K + t] = WEIGHT_AT(j, t);
    new Int32Array(memory.buffer, AT.multiplier, N).fill(MULTIPLIER);
    kernels.pack_weights(AT.weight, N, K, K, NARROW_BITS, AT.packed);
    return new Probe(kernels, memory);
  }

  isExact(): boolean {
    this.#run();
    const codes = new Uint8Array(this.memory.buffer, AT.out, M * N);
    return codes.every((code, at) => code === expected(Math.floor(at / N), at % N));
  }

  /** Both are timed turn by turn, and each by its best run: what else the machine does disturbs single runs. */
  isFasterThan(other: Probe): boolean {
    const best = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY] as [number, number];
    const end = performance.now() + 2 * BUDGET;
    while (performance.now() < end) {
      for (const [i, probe] of [this, other].entries()) {
        const start = performance.now();
        for (let r = 0; r < 4; r++) probe.#run();
        best[i as 0 | 1] = Math.min(best[i as 0 | 1], performance.now() - start);
      }
    }
    return best[0] < best[1];
  }

  #run(): void {
    const [left, right] = SHIFTS;
    this.kernels.linear(
      AT.a,
      K,
      ZERO,
      8,
      AT.packed,
      NARROW_BITS,
      AT.bias,
      AT.multiplier,
      left,
      right,
      AT.out,
      N,
      ZERO,
      M,
      N,
      K,
      AT.scratch,
    );
  }
}

function expected(i: number, j: number): number {
  let acc = 0;
  for (let t = 0; t < K; t++) acc += (CODE_AT(i, t) - ZERO) * WEIGHT_AT(j, t);
  return Math.min(Math.max(Math.floor(acc / 2 ** 16 + 0.5) + ZERO, 0), 255);
}

import { packagedModule } from '#runtime/wasm';
import { RuntimeError } from '../errors.js';
import type { KernelModule } from './kernels.js';

/** The two loops of assembly/probe/probe.ts. */
interface Loops {
  relaxed(a: number, w: number, k: number, out: number): void;
  wide(a: number, w: number, k: number, out: number): void;
}

const K = 512;
const ROWS = 4;
const CHANNELS = 8;
const [A, W, OUT] = [0, 4096, 16384];
/** The ends of the ranges, and values whose pairs come close to the ends of i16. */
const CODES = [127, -128, -128, 127, 0, -128, 1, 127, -1, -128, 126];
const WEIGHTS = [127, 127, 0, 127, 127, 1, 127, 126, 64];
const codeAt = (row: number, t: number) => CODES[(3 * row + t) % CODES.length]!;
const weightAt = (channel: number, t: number) => WEIGHTS[(channel + t) % WEIGHTS.length]!;

/** How long the loops are timed, in ms. The optimising compiler takes over within the first. */
const BUDGET = 4;
/** In a tie, the tier that demands less of the engine wins. */
const GAIN = 0.95;
const MOST_TURNS = 1000;
/** Tiles per timed run, some 20 µs: a browser's clock may be that coarse. */
const TILES = 64;

/**
 * Whether this engine multiplies narrow weights faster with relaxed dot products. False if it has
 * none, if a known product comes out wrong in its baseline or optimising compiler, or if i16 dot
 * products are as fast.
 */
export async function isRelaxedFaster(): Promise<boolean> {
  const probe = await Probe.start();
  if (probe === undefined || !probe.isExact()) return false;
  const { relaxed, wide } = probe.times();
  return probe.isExact() && relaxed < GAIN * 2 * wide;
}

/** Why this engine cannot use the relaxed tier; undefined if it can. */
export async function relaxedFault(): Promise<string | undefined> {
  const probe = await Probe.start();
  if (probe === undefined) return 'one without them';
  return probe.isExact() ? undefined : 'one that gets a known product wrong';
}

/** A module of the package; undefined if the engine lacks its instructions. */
export async function compilable(name: KernelModule): Promise<WebAssembly.Module | undefined> {
  try {
    return await packagedModule(name);
  } catch (error) {
    if (error instanceof RuntimeError && error.code === 'WASM_MODULE') return undefined;
    throw error;
  }
}

class Probe {
  private constructor(
    private readonly loops: Loops,
    private readonly memory: WebAssembly.Memory,
    private readonly products: readonly number[],
  ) {}

  /** Undefined if the engine lacks the instructions. */
  static async start(): Promise<Probe | undefined> {
    const module = await compilable('probe');
    if (module === undefined) return undefined;
    const memory = new WebAssembly.Memory({ initial: 1 });
    const instance = await WebAssembly.instantiate(module, { env: { memory } });
    const view = new Int8Array(memory.buffer);
    for (let t = 0; t < K; t++) {
      const group = Math.floor(t / 4);
      for (let i = 0; i < ROWS; i++) view[A + (group * ROWS + i) * 4 + (t % 4)] = codeAt(i, t);
      for (let j = 0; j < CHANNELS; j++) view[W + (group * CHANNELS + j) * 4 + (t % 4)] = weightAt(j, t);
    }
    const products = Array.from({ length: ROWS * CHANNELS }, (_, at) =>
      product(Math.floor(at / CHANNELS), at % CHANNELS),
    );
    return new Probe(instance.exports as unknown as Loops, memory, products);
  }

  isExact(): boolean {
    this.loops.relaxed(A, W, K, OUT);
    const sums = new Int32Array(this.memory.buffer, OUT, ROWS * CHANNELS);
    return sums.every((sum, at) => sum === this.products[at]);
  }

  /** The loops take turns, and the best run of each counts: other work disturbs single runs. */
  times(): Record<keyof Loops, number> {
    const best = { relaxed: Number.POSITIVE_INFINITY, wide: Number.POSITIVE_INFINITY };
    const end = performance.now() + BUDGET;
    // a clock that stands still, as in a test, must not keep this loop running for ever
    for (let turn = 0; turn < MOST_TURNS && performance.now() < end; turn++) {
      for (const name of ['relaxed', 'wide'] as const) {
        const start = performance.now();
        for (let i = 0; i < TILES; i++) this.loops[name](A, W, K, OUT);
        best[name] = Math.min(best[name], performance.now() - start);
      }
    }
    return best;
  }
}

function product(row: number, channel: number): number {
  let sum = 0;
  for (let t = 0; t < K; t++) sum += codeAt(row, t) * weightAt(channel, t);
  return sum;
}

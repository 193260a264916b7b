// Shared by the kernel benches: runs the same work on every tier of this engine, and in float if
// the float module has the kernel. Each contender of a row warms up for 50 ms; then they take
// turns, --rounds (3) times --time (0.1) seconds each, by Benchmark.js. A sample is the mean over
// at least 20 ms of calls; the table shows the median of all samples. --only TEXT: rows with TEXT
// in their names.
import { readFileSync } from 'node:fs';
import Benchmark from 'benchmark';
import { median, option, random, report } from './support.mjs';

const TIERS = ['scalar', 'simd', 'relaxed'];
const WARM_UP_MS = 50;
const MIN_SAMPLE_S = 0.02;
const rounds = Number(option('rounds', 3));
const seconds = Number(option('time', 0.1));
const only = option('only', '');

const modules = new Map(
  [...TIERS, 'float'].flatMap((name) => {
    const bytes = readFileSync(new URL(`../wasm/fqvit.${name}.wasm`, import.meta.url));
    return WebAssembly.validate(bytes) ? [[name, new WebAssembly.Module(bytes)]] : [];
  }),
);

/** The tiers that this engine runs. */
export const tiers = TIERS.filter((tier) => modules.has(tier));

/** Kernels with their own memory, allocated from its start. */
export class Workspace {
  memory = new WebAssembly.Memory({ initial: 2 });
  #end = 64;

  /** @param module one of the tiers, or `float` */
  constructor(module) {
    this.kernels = this.instantiate(modules.get(module));
  }

  instantiate(module) {
    return new WebAssembly.Instance(module, { env: { memory: this.memory } }).exports;
  }

  /** Allocates bytes. Kernels may read one page past the last. */
  room(bytes) {
    const address = this.#end;
    this.#end += Math.ceil(bytes / 64) * 64;
    const pages = Math.ceil(this.#end / 65536) + 1 - this.memory.buffer.byteLength / 65536;
    if (pages > 0) this.memory.grow(pages);
    return address;
  }

  /** Copies a typed array; returns its address. */
  put(values) {
    const address = this.room(values.byteLength);
    new values.constructor(this.memory.buffer, address, values.length).set(values);
    return address;
  }

  /** Evenly distributed codes of the given width. */
  codes(count, bits = 8) {
    return this.put(Uint8Array.from({ length: count }, () => 2 ** (bits - 1) * (1 + random())));
  }

  integers(count, value) {
    return this.put(new Int32Array(count).fill(value));
  }

  floats(count) {
    return this.put(Float32Array.from({ length: count }, random));
  }
}

/**
 * @param cases `{ name, work, unit, integer, float }`: a call does `work` operations of `unit`;
 *   `integer` and the optional `float` take a workspace and return the call
 */
export function compare(title, cases) {
  report(title, { rounds, seconds }, cases.filter(({ name }) => name.includes(only)).map(measure));
}

function measure({ name, work, unit, integer, float }) {
  const calls = Object.fromEntries(tiers.map((tier) => [tier, integer(new Workspace(tier))]));
  if (float) calls.float = float(new Workspace('float'));
  const samples = Object.fromEntries(Object.keys(calls).map((contender) => [contender, []]));
  for (const call of Object.values(calls)) warmUp(call);
  for (let round = 0; round < rounds; round++) {
    for (const [contender, call] of Object.entries(calls)) {
      const bench = new Benchmark(call, { maxTime: seconds, minTime: MIN_SAMPLE_S, minSamples: 1 }).run();
      if (bench.error) throw bench.error;
      samples[contender].push(...bench.stats.sample);
    }
  }
  const rates = Object.fromEntries(
    Object.entries(samples).map(([contender, times]) => [contender, work / median(times) / 1e9]),
  );
  const best = Math.max(...tiers.map((tier) => rates[tier]));
  return {
    name,
    unit: `G${unit}/s`,
    ...rates,
    ...(rates.simd ? { 'simd/scalar': rates.simd / rates.scalar } : {}),
    ...(float ? { 'best/float': best / rates.float } : {}),
  };
}

function warmUp(call) {
  const end = performance.now() + WARM_UP_MS;
  while (performance.now() < end) call();
}

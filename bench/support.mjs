// Shared by the benches: the machine, kernels on a fresh memory, and a Benchmark.js run that prints or collects rows.
import { readFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import loader from '@assemblyscript/loader';
import Benchmark from 'benchmark';

export const json = process.argv.includes('--json');

export function machine() {
  const [cpu] = cpus();
  return {
    cpu: cpu.model,
    cores: cpus().length,
    node: process.version,
    v8: process.versions.v8,
    load: loadavg()[0],
  };
}

export function option(name, fallback) {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? fallback : process.argv[at + 1];
}

export function median(values) {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
}

/** Both integer tiers, each on a memory of its own, filled with the same pseudo-random bytes. */
export function tiers(bytes) {
  return Object.fromEntries(
    ['scalar', 'simd'].map((tier) => {
      const memory = new WebAssembly.Memory({ initial: Math.ceil(bytes / 65536) });
      const view = new Uint8Array(memory.buffer);
      let state = 1;
      for (let i = 0; i < view.length; i++) {
        state = (Math.imul(state, 1103515245) + 12345) >>> 0;
        view[i] = state >>> 16;
      }
      const wasm = readFileSync(new URL(`../wasm/fqvit.${tier}.wasm`, import.meta.url));
      return [tier, { ...loader.instantiateSync(wasm, { env: { memory } }).exports, memory }];
    }),
  );
}

/**
 * Times the same call on both tiers.
 * @param cases `{ name, work, unit, run(kernels) }`: `work` operations of `unit` a call
 */
export function compare(title, kernels, cases) {
  const rows = [];
  for (const { name, work, unit, run } of cases) {
    const rates = {};
    for (const [tier, exports] of Object.entries(kernels)) {
      const bench = new Benchmark(() => run(exports), { maxTime: 1, minSamples: 5 }).run();
      rates[tier] = work / median(bench.stats.sample) / 1e9;
    }
    rows.push({ name, unit: `G${unit}/s`, ...rates, ratio: rates.simd / rates.scalar });
  }
  if (json) {
    console.log(JSON.stringify({ machine: machine(), title, rows }));
    return;
  }
  console.log(title, machine());
  console.table(
    rows.map((row) => ({
      ...row,
      scalar: +row.scalar.toFixed(2),
      simd: +row.simd.toFixed(2),
      ratio: +row.ratio.toFixed(1),
    })),
  );
}

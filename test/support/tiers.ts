/** The integer kernel modules, and which of them this engine runs. */
import { readFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { afterAll, describe, test } from '@jest/globals';
import type { Tier } from '../../src/runtime/kernels.js';
import type { WasmName } from '../../src/runtime/wasm-node.js';

export const readModule = (name: WasmName): Uint8Array<ArrayBuffer> =>
  new Uint8Array(readFileSync(new URL(`../../wasm/fqvit.${name}.wasm`, import.meta.url)));

export const ALL_TIERS: readonly Tier[] = ['scalar', 'simd', 'relaxed'];

/** Node 20 has relaxed SIMD behind a flag; Node 22 has it without, and need not know the flag. */
function runs(tier: Tier): boolean {
  const wasm = readModule(tier);
  if (WebAssembly.validate(wasm)) return true;
  if (tier === 'relaxed') setFlagsFromString('--experimental-wasm-relaxed-simd');
  return WebAssembly.validate(wasm);
}

/** The tiers that this engine runs, the oracle first. */
export const TIERS = ALL_TIERS.filter(runs);

const missing = ALL_TIERS.filter((tier) => !TIERS.includes(tier));
let skipped = 0;

/** Says that something was not compared on the missing tiers. */
export function countMissing(): void {
  skipped += missing.length;
}

if (missing.length > 0) {
  test.skip(`on tiers that this engine does not compile: ${missing.join(', ')}`, () => {});
  afterAll(() => {
    if (skipped > 0)
      console.warn(`SKIPPED ${skipped} runs: this engine does not compile the tiers ${missing.join(', ')}`);
  });
}

/** A suite for each case, skipped where the engine does not run its tier. */
export function describeTiers<Case extends { readonly tier: Tier }>(
  cases: readonly Case[],
  name: string,
  suite: (one: Case) => void,
): void {
  for (const runs of [true, false]) {
    const some = cases.filter(({ tier }) => TIERS.includes(tier) === runs);
    if (some.length > 0) (runs ? describe : describe.skip).each([...some])(name, suite);
  }
}

/** Each of these with every tier. */
export const onTiers = <Case>(cases: readonly Case[]): (Case & { tier: Tier })[] =>
  cases.flatMap((one) => ALL_TIERS.map((tier) => ({ ...one, tier })));

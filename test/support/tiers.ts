/** Suites for the tiers that this engine runs; the others are skipped and counted. */
import { afterAll, describe, test } from '@jest/globals';
import type { Tier } from '../../src/runtime/kernels.js';
import { ALL_TIERS, TIERS } from './kernel-modules.js';

export { ALL_TIERS, readModule, TIERS } from './kernel-modules.js';

const missing = ALL_TIERS.filter((tier) => !TIERS.includes(tier));
let skipped = 0;

/** Reports that something was not compared on the missing tiers. */
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

/** A suite for each case, skipped if the engine does not run its tier. */
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

/** Each of these values with every tier. */
export const onTiers = <Case>(cases: readonly Case[]): (Case & { tier: Tier })[] =>
  cases.flatMap((one) => ALL_TIERS.map((tier) => ({ ...one, tier })));

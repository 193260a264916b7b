import type { Recipe } from '../checkpoint/integer-description.js';

/** How a checkpoint was quantised, for people. */
export function describeMethod({
  method,
  observer,
  ptf,
  attention,
  weightBits,
  activationBits,
}: Recipe): string {
  const parts = [
    `${weightBits}-bit weights`,
    `${activationBits}-bit activations`,
    `observer ${observer}`,
    `power-of-two factors ${ptf ? 'on' : 'off'}`,
    attention === 'log2' ? '4-bit log2 attention' : '8-bit attention',
  ];
  return `${method} (${parts.join(', ')})`;
}

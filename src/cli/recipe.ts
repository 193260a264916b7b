import type { Recipe } from '../checkpoint/integer/description.js';

const ATTENTION = {
  log2: '4-bit log2 attention',
  eighths: '7-bit log2 attention',
  uniform: '8-bit attention',
} as const;

/** How a checkpoint was quantised, in words. */
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
    observer === 'search' ? 'ranges searched' : `observer ${observer}`,
    `power-of-two factors ${ptf ? 'on' : 'off'}`,
    ATTENTION[attention],
  ];
  return `${method} (${parts.join(', ')})`;
}

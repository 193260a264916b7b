import type { Classifier } from '../../src/serve/index.js';

/** Of a classifier of cats and dogs that computes nothing. */
export const info = {
  architecture: { name: 'vit_tiny', imageSize: 8, classes: 2 } as Classifier['info']['architecture'],
  labels: ['cat', 'dog'],
  output: 'softmax',
  bytes: 1234,
  tier: 'simd',
} as const;

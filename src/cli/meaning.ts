import type { Output } from '../architecture/output.js';

/** What the logits mean, in words. */
export const MEANINGS: Readonly<Record<Output, string>> = {
  softmax: 'single-label classification (softmax)',
  sigmoid: 'multi-label classification (sigmoid)',
  value: 'regression (the value itself)',
};

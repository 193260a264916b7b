import type { Output } from '../checkpoint/output.js';

/** What logits mean, for people. */
export const MEANINGS: Readonly<Record<Output, string>> = {
  softmax: 'one class of all (softmax)',
  sigmoid: 'each class by itself (sigmoid)',
  value: 'a number (regression)',
};

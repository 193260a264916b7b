import type { ModelPreprocessing } from '../checkpoint/integer/description.js';

/** How an image becomes the input of a model, in words. */
export function describePreprocessing(p: ModelPreprocessing): string {
  const triple = (values: readonly number[]) => values.join(', ');
  const resized = p.squash ? `${p.interpolation}, squashed to a square` : p.interpolation;
  return `${resized}, crop ${p.cropPct}, mean ${triple(p.mean)}, std ${triple(p.std)}`;
}

import type { ModelPreprocessing } from '../checkpoint/integer-description.js';

/** What a model does with an image before it sees it, for people. */
export function describePreprocessing(p: ModelPreprocessing): string {
  const triple = (values: readonly number[]) => values.join(', ');
  const resized = p.squash ? `${p.interpolation}, squashed to a square` : p.interpolation;
  return `${resized}, crop ${p.cropPct}, mean ${triple(p.mean)}, std ${triple(p.std)}`;
}

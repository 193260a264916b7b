/**
 * What the logits mean. `softmax`: exactly one class is right, and the probabilities sum to 1. `sigmoid`: multi-label, each class has a
 * probability of its own. `value`: regression, the one logit is the answer.
 */
export type Output = 'softmax' | 'sigmoid' | 'value';
export const OUTPUTS: readonly Output[] = ['softmax', 'sigmoid', 'value'];

/** What this many logits can mean; the first is the default. */
export function outputsOf(classes: number): readonly Output[] {
  return classes === 1 ? ['sigmoid', 'value'] : ['softmax', 'sigmoid'];
}

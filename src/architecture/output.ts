/**
 * What the logits mean. `softmax`: exactly one class is right, and the probabilities sum to 1.
 * `sigmoid`: multi-label; each class has its own probability. `value`: regression; the single logit
 * is the answer.
 */
export type Output = 'softmax' | 'sigmoid' | 'value';
export const OUTPUTS: readonly Output[] = ['softmax', 'sigmoid', 'value'];

/** The outputs that are possible with this many logits; the first is the default. */
export function outputsOf(classes: number): readonly Output[] {
  return classes === 1 ? ['sigmoid', 'value'] : ['softmax', 'sigmoid'];
}

export const OUTPUTS = ['softmax', 'sigmoid', 'value'] as const;

/**
 * What the logits mean. `softmax`: exactly one class is right, and the probabilities sum to 1.
 * `sigmoid`: multi-label; each class has its own probability. `value`: regression; the single logit
 * is the answer.
 */
export type Output = (typeof OUTPUTS)[number];

/** The outputs that are possible with this many logits; the first is the default. */
export function outputsOf(classes: number): readonly Output[] {
  return classes === 1 ? ['sigmoid', 'value'] : ['softmax', 'sigmoid'];
}

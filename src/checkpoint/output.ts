export const OUTPUTS = ['softmax', 'sigmoid', 'value'] as const;

/**
 * What logits mean. `softmax`: one of the classes is right, and their probabilities sum to 1. `sigmoid`: each class is there or not,
 * whatever the others are. `value`: the one logit is the answer itself, a real number.
 */
export type Output = (typeof OUTPUTS)[number];

/** What so many logits can mean; the first where nothing says it. */
export function outputsOf(classes: number): readonly Output[] {
  return classes === 1 ? ['sigmoid', 'value'] : ['softmax', 'sigmoid'];
}

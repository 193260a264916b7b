/** Indices of the `top` largest values, largest first; equal values rank by the lowest index. */
export function ranked(values: ArrayLike<number>, top: number): number[] {
  return Array.from(values, (_, i) => i)
    .sort((a, b) => values[b]! - values[a]! || a - b)
    .slice(0, top);
}

/** Softmax of logits. */
export function probabilities(logits: ArrayLike<number>): Float64Array {
  let max = -Infinity;
  for (let i = 0; i < logits.length; i++) max = Math.max(max, logits[i]!);
  const p = Float64Array.from(logits, (logit) => Math.exp(logit - max));
  const sum = p.reduce((a, b) => a + b, 0);
  return p.map((value) => value / sum);
}

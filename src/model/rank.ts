/** Indices of the `top` largest values, largest first; equal values rank by the lowest index. */
export function rankClasses(values: ArrayLike<number>, top: number): number[] {
  return Array.from(values, (_, i) => i)
    .sort((a, b) => values[b]! - values[a]! || a - b)
    .slice(0, top);
}

/** Softmax of logits. */
export function probabilities(logits: ArrayLike<number>): Float64Array {
  return logProbabilities(logits).map(Math.exp);
}

/** Sigmoid of each logit. */
export function sigmoids(logits: ArrayLike<number>): Float64Array {
  return Float64Array.from(logits, (logit) => 1 / (1 + Math.exp(-logit)));
}

/** Log-softmax of logits: finite even if a probability underflows. */
export function logProbabilities(logits: ArrayLike<number>): Float64Array {
  let max = -Infinity;
  for (let i = 0; i < logits.length; i++) max = Math.max(max, logits[i]!);
  const below = Float64Array.from(logits, (logit) => logit - max);
  const sum = below.reduce((total, distance) => total + Math.exp(distance), 0);
  return below.map((distance) => distance - Math.log(sum));
}

/** KL(p ‖ q) in nats, from log-probabilities. */
export function divergence(p: Float64Array, q: Float64Array): number {
  return p.reduce((sum, log, i) => sum + Math.exp(log) * (log - q[i]!), 0);
}

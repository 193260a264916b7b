/**
 * Average precision like scikit-learn's `average_precision_score`: the sum over thresholds of
 * (Rₙ - Rₙ₋₁)·Pₙ, with recall and precision at the n-th highest distinct score. Equal scores share
 * one threshold, without interpolation.
 *
 * @param isPositive whether each score's item is a positive
 * @returns 0..1; NaN without a positive
 */
export function averagePrecision(scores: ArrayLike<number>, isPositive: readonly boolean[]): number {
  const order = isPositive.map((_, i) => i).sort((a, b) => scores[b]! - scores[a]!);
  let hits = 0;
  let hitsBefore = 0;
  let sum = 0;
  for (const [rank, i] of order.entries()) {
    if (isPositive[i]) hits++;
    if (scores[order[rank + 1]!] === scores[i]) continue;
    sum += ((hits - hitsBefore) * hits) / (rank + 1);
    hitsBefore = hits;
  }
  return sum / hits;
}

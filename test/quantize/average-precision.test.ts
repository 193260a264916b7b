import { expect, test } from '@jest/globals';
import { averagePrecision } from '../../src/quantize/average-precision.js';

// of sklearn.metrics.average_precision_score, scikit-learn 1.9.1
test.each([
  [[0.9, 0.8, 0.7, 0.6], [1, 0, 1, 0], 0.8333333333333333],
  [[0.5, 0.5, 0.5, 0.5], [0, 1, 0, 1], 0.5],
  [[3, 1, 3, 2, 1, 2, 0], [1, 0, 0, 1, 1, 0, 0], 0.5],
  [[-1, -2, -3], [0, 0, 1], 0.3333333333333333],
  [[2], [1], 1],
  [[0, 1, 2, 2, 2, 5, 5, 7], [0, 1, 1, 0, 1, 0, 1, 0], 0.47619047619047616],
])('scores %j of %j: equals scikit-learn', (scores, positive, expected) => {
  expect(averagePrecision(scores, positive.map(Boolean))).toBeCloseTo(expected, 14);
});

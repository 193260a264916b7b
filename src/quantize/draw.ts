import { mulberry32 } from './random.js';

/**
 * The items in an order that the seed picks: a Fisher-Yates shuffle over mulberry32, the same
 * everywhere.
 *
 * @param seed 0..2^32 - 1
 */
export function drawOrder<T>(items: readonly T[], seed: number): T[] {
  const order = [...items];
  const random = mulberry32(seed);
  for (let i = order.length - 1; i > 0; i--) {
    const j = random() % (i + 1);
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}

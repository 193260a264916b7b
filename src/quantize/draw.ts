import { mulberry32 } from './random.js';

/**
 * Shuffles the items by the seed: Fisher-Yates over mulberry32, the same in every engine.
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

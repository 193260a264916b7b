/**
 * Layouts shared by the two tiers.
 *
 * A panel holds 8 output channels: [k/2][8 channels][2 k]. Weights lie in memory as int8 panels, one after the other:
 * [n/8][k/2][8][2], n rounded up to 8 and k to 8 (the padding is 0).
 */

/** Offset in elements of weight (channel n, input k) in panels of K inputs. */
// @ts-ignore: decorator
@inline
export function panelIndex(n: i32, k: i32, K: i32): usize {
  return <usize>((n >> 3) * K * 8 + (k >> 1) * 16 + (n & 7) * 2 + (k & 1));
}

/**
 * Packs weights int8 [n, k] (row-major, as in the checkpoint) into panels of kPadded inputs. Done once, at load.
 */
export function pack_weights(weight: usize, n: i32, k: i32, kPadded: i32, out: usize): void {
  const rows = (n + 7) & ~7;
  memory.fill(out, 0, <usize>(rows * kPadded));
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < k; j++) {
      store<i8>(out + panelIndex(i, j, kPadded), load<i8>(weight + <usize>(i * k + j)));
    }
  }
}

/**
 * Weights in memory, packed once, at load.
 *
 * A panel holds 8 output channels, [k/2][8 channels][2 k] int8 codes in the scalar and the simd
 * tier; panels lie one after the other, n rounded up to 8 and k to 8 (the padding is 0). The
 * relaxed tier packs narrow weights differently (gemm.relaxed.ts) and keeps the sums of a panel's
 * channels after it, so a panel takes 8·k + PANEL_SUMS bytes in every tier.
 */
import { PANEL_SUMS } from '../sizes';

/** Address of weight (channel n, input k) in panels of K inputs. */
// @ts-ignore: decorator
@inline
export function panelIndex(n: i32, k: i32, K: i32): usize {
  return <usize>((n >> 3) * (8 * K + PANEL_SUMS) + (k >> 1) * 16 + (n & 7) * 2 + (k & 1));
}

/**
 * Packs weights int8 [n, k] (row-major, as in the checkpoint) into panels of kPadded inputs.
 *
 * @param bits of the weights; these tiers treat all widths alike
 */
export function pack_weights(weight: usize, n: i32, k: i32, kPadded: i32, bits: i32, out: usize): void {
  memory.fill(out, 0, <usize>(((n + 7) >> 3) * (8 * kPadded + PANEL_SUMS)));
  for (let i = 0; i < n; i++) {
    // two inputs are adjacent in both layouts
    let to = out + panelIndex(i, 0, kPadded), from = weight + <usize>(i * k);
    const end = from + <usize>(k & ~1);
    for (; from < end; from += 2) {
      store<u16>(to, load<u16>(from));
      to += 16;
    }
    if (k & 1) store<u8>(to, load<u8>(from));
  }
}

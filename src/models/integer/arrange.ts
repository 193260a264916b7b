/** Something that needs memory from one step of a plan to another, both included. */
export interface Lifetime {
  /** Offset in bytes, a multiple of 16; what `arrange` decides. */
  address: number;
  /** A multiple of 16. */
  readonly bytes: number;
  readonly first: number;
  readonly last: number;
}

/**
 * Gives each its offset in one region, so that none overlaps another that is alive at the same step: the largest first, each
 * at the lowest offset where it fits.
 *
 * @returns the size of the region
 */
export function arrange(lifetimes: readonly Lifetime[]): number {
  const placed: Lifetime[] = [];
  let size = 0;
  for (const one of [...lifetimes].sort((a, b) => b.bytes - a.bytes)) {
    const neighbours = placed
      .filter((other) => other.first <= one.last && one.first <= other.last)
      .sort((a, b) => a.address - b.address);
    let offset = 0;
    for (const { address, bytes } of neighbours) {
      if (offset + one.bytes <= address) break;
      offset = Math.max(offset, address + bytes);
    }
    one.address = offset;
    placed.push(one);
    size = Math.max(size, offset + one.bytes);
  }
  return size;
}

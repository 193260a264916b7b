/** A block of memory that a plan needs from one step to another, both inclusive. */
export interface Lifetime {
  /** Offset in bytes, a multiple of 16; set by `arrange`. */
  address: number;
  /** A multiple of 16. */
  readonly bytes: number;
  readonly first: number;
  readonly last: number;
}

/**
 * Gives each block an offset in one region so that blocks which live at the same step do not
 * overlap: the largest first, each at the lowest offset where it fits.
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

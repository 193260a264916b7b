// Looking up a global is slow inside a `node:vm` context (Jest, sandboxes).
const { abs } = Math;

/**
 * Undoes one row's filter in place: PNG specification, 9.2. All arithmetic is modulo 256.
 *
 * @param filter 0 none, 1 sub, 2 up, 3 average, 4 Paeth
 * @param row the filtered bytes of the row
 * @param above the unfiltered row above, as long as `row`; zeros for the first row of a pass
 * @param step bytes from a sample to the same sample of the pixel to its left, at least 1
 * @returns whether `filter` is one of the five
 */
export function unfilterRow(filter: number, row: Uint8Array, above: Uint8Array, step: number): boolean {
  const length = row.length;
  switch (filter) {
    case 0:
      return true;
    case 1:
      for (let i = step; i < length; i++) row[i] = row[i]! + row[i - step]!;
      return true;
    case 2:
      for (let i = 0; i < length; i++) row[i] = row[i]! + above[i]!;
      return true;
    case 3:
      for (let i = 0; i < step && i < length; i++) row[i] = row[i]! + (above[i]! >> 1);
      for (let i = step; i < length; i++) row[i] = row[i]! + ((row[i - step]! + above[i]!) >> 1);
      return true;
    case 4:
      for (let i = 0; i < step && i < length; i++) row[i] = row[i]! + above[i]!;
      for (let i = step; i < length; i++) {
        const a = row[i - step]!;
        const b = above[i]!;
        const c = above[i - step]!;
        // The neighbour nearest to a + b - c. Ties go to left, then above, then above left.
        const pa = abs(b - c);
        const pb = abs(a - c);
        const pc = abs(a + b - c - c);
        row[i] = row[i]! + (pa <= pb && pa <= pc ? a : pb <= pc ? b : c);
      }
      return true;
    default:
      return false;
  }
}

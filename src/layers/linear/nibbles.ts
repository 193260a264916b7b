/**
 * Packs 4-bit weights, two per byte: `[out, in]` codes -8..7 become `[out, ceil(in / 2)]` bytes.
 * The low nibble is the code of an even input plus 8, the high nibble is the code of the next input
 * plus 8. If the number of inputs is odd, a code 0 pads the row.
 */

/** Bytes per row of `inputs` codes. */
export function packedLength(inputs: number): number {
  return Math.ceil(inputs / 2);
}

/** @param codes `[out, inputs]` */
export function packNibbles(codes: Int8Array, inputs: number): Uint8Array {
  const length = packedLength(inputs);
  return Uint8Array.from({ length: (codes.length / inputs) * length }, (_, i) => {
    const row = Math.floor(i / length) * inputs;
    const even = 2 * (i % length);
    const high = even + 1 < inputs ? codes[row + even + 1]! : 0;
    return (codes[row + even]! + 8) | ((high + 8) << 4);
  });
}

/** @returns the codes, `[out, inputs]` */
export function unpackNibbles(packed: Uint8Array, inputs: number): Int8Array {
  const length = packedLength(inputs);
  const codes = new Int8Array((packed.length / length) * inputs);
  // plain loops, because there are millions of codes
  for (let row = 0, at = 0; at < codes.length; row += length) {
    for (let input = 0; input < inputs; input++) {
      codes[at++] = ((packed[row + (input >> 1)]! >> (4 * (input & 1))) & 15) - 8;
    }
  }
  return codes;
}

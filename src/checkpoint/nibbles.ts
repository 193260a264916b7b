/**
 * 4-bit weights, two to a byte: `[out, in]` codes -8..7 as `[out, ceil(in / 2)]` bytes. The low nibble is the code of an even
 * input plus 8, the high nibble that of the odd input behind it; behind the last of an odd number stands the code 0.
 */

/** Bytes of a row of `inputs` codes. */
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
  // plain loops: there are millions of codes
  for (let row = 0, at = 0; at < codes.length; row += length) {
    for (let input = 0; input < inputs; input++) {
      codes[at++] = ((packed[row + (input >> 1)]! >> (4 * (input & 1))) & 15) - 8;
    }
  }
  return codes;
}

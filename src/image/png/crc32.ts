/** CRC-32 of every byte value (polynomial 0xEDB88320): PNG specification, annex D. */
let table: Int32Array | undefined;

function makeTable(): Int32Array {
  const made = new Int32Array(256);
  for (let n = 0; n < 256; n++) {
    let c = n;
    for (let k = 0; k < 8; k++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
    made[n] = c;
  }
  return made;
}

/** CRC-32 of `bytes[from, to)` as PNG stores it: unsigned; initial value and final XOR are -1. */
export function crc32(bytes: Uint8Array, from: number, to: number): number {
  table ??= makeTable();
  let c = -1;
  for (let i = from; i < to; i++) c = table[(c ^ bytes[i]!) & 255]! ^ (c >>> 8);
  return (c ^ -1) >>> 0;
}

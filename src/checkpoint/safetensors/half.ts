/** Converts the 16-bit floating-point formats to binary32, which contains both exactly. */

/** The value of one binary16 subnormal step. */
const HALF_SUBNORMAL = 2 ** -24;

/** Exponent bias of binary32 minus that of binary16, shifted into place: (127 - 15) << 23. */
const HALF_REBIAS = 0x38000000;

/** IEEE 754 binary16 (1 sign, 5 exponent, 10 fraction bits) to binary32. NaN keeps its payload. */
export function float16ToFloat32(codes: Uint16Array): Float32Array {
  const values = new Float32Array(codes.length);
  const bits = new Uint32Array(values.buffer);
  for (let i = 0; i < codes.length; i++) {
    const code = codes[i]!;
    const magnitude = code & 0x7fff;
    const sign = (code & 0x8000) << 16;
    if (magnitude >= 0x7c00) bits[i] = sign | 0x7f800000 | ((magnitude & 0x3ff) << 13);
    else if (magnitude >= 0x400) bits[i] = sign | ((magnitude << 13) + HALF_REBIAS);
    else values[i] = (sign ? -1 : 1) * magnitude * HALF_SUBNORMAL;
  }
  return values;
}

/** bfloat16 (the upper half of binary32) to binary32. */
export function bfloat16ToFloat32(codes: Uint16Array): Float32Array {
  const bits = new Uint32Array(codes.length);
  for (let i = 0; i < codes.length; i++) bits[i] = codes[i]! << 16;
  return new Float32Array(bits.buffer);
}

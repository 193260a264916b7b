/**
 * GELU by table (operands: gelu.scalar.ts), four codes a load and a store. n is a multiple of 4.
 */
export function gelu(x: usize, table: usize, out: usize, n: i32): void {
  const end = out + <usize>n;
  while (out < end) {
    const four = load<u64>(x);
    store<u32>(
      out,
      <u32>load<u8>(table + <usize>(four & 0xffff)) |
        (<u32>load<u8>(table + <usize>((four >> 16) & 0xffff)) << 8) |
        (<u32>load<u8>(table + <usize>((four >> 32) & 0xffff)) << 16) |
        (<u32>load<u8>(table + <usize>(four >> 48)) << 24),
    );
    x += 8;
    out += 4;
  }
}

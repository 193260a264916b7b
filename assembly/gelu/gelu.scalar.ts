/**
 * GELU by table: out = table[x]. x: u16 fine codes 0..4095 of fc1 [n]; table: u8 [4096], made with
 * the checkpoint from the exact (erf) GELU; out: u8 [n]. With an 8-bit index a tenth of the
 * output codes would be wrong; with 12 bits one in 100 is off by one.
 */
export function gelu(x: usize, table: usize, out: usize, n: i32): void {
  for (let i: usize = 0; i < <usize>n; i++) store<u8>(out + i, load<u8>(table + <usize>load<u16>(x + (i << 1))));
}

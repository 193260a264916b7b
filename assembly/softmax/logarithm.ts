/**
 * floor(2048·log2 x), x > 0: the integer part, then bit by bit, each from the square of what is
 * left.
 */
export function log2Of(x: u32): i32 {
  const zeros = <i32>clz(x);
  let rest = <u64>(x << zeros); // 1 <= rest / 2^31 < 2
  let log = 31 - zeros;
  for (let bit = 0; bit < 11; bit++) {
    rest = (rest * rest) >> 31;
    const more = <i32>(rest >> 32);
    rest >>= <u64>more;
    log = (log << 1) + more;
  }
  return log;
}

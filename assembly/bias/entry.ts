/** The entry of the relative position bias table for tokens i and j of a window of w × w. */
// @ts-ignore: decorator
@inline
export function biasEntry(i: i32, j: i32, w: i32): i32 {
  return (i / w - j / w + w - 1) * (2 * w - 1) + (i % w) - (j % w) + w - 1;
}

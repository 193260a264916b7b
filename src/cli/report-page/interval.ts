/** z of 95 % of the normal distribution. */
const Z = 1.959964;

/** Wilson's 95 % interval of a proportion, from `hits` of `all` (E. B. Wilson, JASA 22, 1927). */
export function interval(hits: number, all: number): [low: number, high: number] {
  const p = hits / all;
  const z2 = Z ** 2 / all;
  const middle = p + z2 / 2;
  const half = Z * Math.sqrt((p * (1 - p)) / all + z2 / (4 * all));
  const within = (x: number) => Math.min(Math.max(x / (1 + z2), 0), 1);
  return [within(middle - half), within(middle + half)];
}

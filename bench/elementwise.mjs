// LayerNorm, softmax, GELU and residual addition of DeiT-Tiny, and what Swin-T has besides: `npm run build:wasm && node bench/elementwise.mjs [--json]`
import { compare, tiers } from './support.mjs';

const X = 1 << 16,
  Y = 1 << 20,
  PARAMETERS = 2 << 20,
  OUT = 3 << 20,
  SCRATCH = 5 << 20;
const N = 197,
  C = 192,
  HEADS = 3,
  LDS = 208;
const W = 7, // Swin's windows of 7×7 tokens, by 64, 3 heads: the first stage
  N_WINDOW = W ** 2,
  LDS_WINDOW = 64,
  WINDOWS = 64;
const kernels = tiers(6 << 20);
for (const { memory } of Object.values(kernels)) {
  new Uint32Array(memory.buffer, PARAMETERS, 256).forEach((_, d, table) => {
    table[d] = Math.round(2 ** 24 * Math.exp(-d / 10));
  });
  new Uint16Array(memory.buffer, Y, N * 768).forEach((value, i, codes) => {
    codes[i] = value & 4095;
  });
}
const MASK = PARAMETERS + 65536;
for (const { memory } of Object.values(kernels)) {
  // a window in the last column of windows
  const side = (token) => token % W < 4;
  new Uint8Array(memory.buffer, MASK, N_WINDOW * LDS_WINDOW).forEach((_, at, mask) => {
    const [i, j] = [Math.floor(at / LDS_WINDOW), at % LDS_WINDOW];
    mask[at] = j < N_WINDOW && side(i) === side(j) ? 255 : 0;
  });
}
const inWindow = (name, mask) => [
  {
    name: `softmax, log2, 7×7${name}`,
    work: HEADS * N_WINDOW ** 2,
    unit: 'elements',
    run: (k) => k.softmax_log2(X, LDS_WINDOW, OUT, HEADS * N_WINDOW, N_WINDOW, PARAMETERS, mask, SCRATCH),
  },
  {
    name: `softmax, uniform, 7×7${name}`,
    work: HEADS * N_WINDOW ** 2,
    unit: 'elements',
    run: (k) =>
      k.softmax_uniform(X, LDS_WINDOW, OUT, HEADS * N_WINDOW, N_WINDOW, PARAMETERS, 255 << 12, mask, SCRATCH),
  },
];
const powers = PARAMETERS + 4096,
  gain = PARAMETERS + 8192,
  bias = PARAMETERS + 16384;
compare('elementwise', kernels, [
  {
    name: 'layernorm',
    work: N * C,
    unit: 'elements',
    run: (k) => k.layernorm(X, 120, powers, gain, bias, 40, OUT, 128, N, C),
  },
  {
    name: 'softmax, log2',
    work: HEADS * N * N,
    unit: 'elements',
    run: (k) => k.softmax_log2(X, LDS, OUT, HEADS * N, N, PARAMETERS, 0, SCRATCH),
  },
  {
    name: 'softmax, uniform',
    work: HEADS * N * N,
    unit: 'elements',
    run: (k) => k.softmax_uniform(X, LDS, OUT, HEADS * N, N, PARAMETERS, 255 << 12, 0, SCRATCH),
  },
  { name: 'gelu', work: N * 768, unit: 'elements', run: (k) => k.gelu(Y, PARAMETERS, OUT, N * 768) },
  {
    name: 'add',
    work: N * C,
    unit: 'elements',
    run: (k) => k.add(X, 120, gain, Y, 120, bias, 20, OUT, 128, N, C),
  },
  ...inWindow('', 0),
  ...inWindow(', masked', MASK),
  {
    name: 'position bias',
    work: WINDOWS * N_WINDOW ** 2,
    unit: 'elements',
    run: (k) =>
      k.bias(
        ...[X, 120, 2 ** 20, Y, HEADS, 120, 2 ** 20, 20, OUT, 128],
        ...[WINDOWS, N_WINDOW * LDS_WINDOW, W, LDS_WINDOW, SCRATCH],
      ),
  },
  {
    name: 'pool',
    work: N_WINDOW * 768,
    unit: 'elements',
    run: (k) => k.pool(X, 120, 2 ** 30, 0, 36, OUT, 128, N_WINDOW, 768),
  },
]);

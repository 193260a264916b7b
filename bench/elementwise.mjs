// LayerNorm, softmax, GELU and residual addition of DeiT-Tiny: `npm run build:wasm && node bench/elementwise.mjs [--json]`
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
const kernels = tiers(6 << 20);
for (const { memory } of Object.values(kernels)) {
  new Uint32Array(memory.buffer, PARAMETERS, 256).forEach((_, d, table) => {
    table[d] = Math.round(2 ** 24 * Math.exp(-d / 10));
  });
  new Uint16Array(memory.buffer, Y, N * 768).forEach((value, i, codes) => {
    codes[i] = value & 4095;
  });
}
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
    run: (k) => k.softmax_log2(X, LDS, OUT, HEADS * N, N, PARAMETERS, SCRATCH),
  },
  {
    name: 'softmax, uniform',
    work: HEADS * N * N,
    unit: 'elements',
    run: (k) => k.softmax_uniform(X, LDS, OUT, HEADS * N, N, PARAMETERS, 255 << 12),
  },
  { name: 'gelu', work: N * 768, unit: 'elements', run: (k) => k.gelu(Y, PARAMETERS, OUT, N * 768) },
  {
    name: 'add',
    work: N * C,
    unit: 'elements',
    run: (k) => k.add(X, 120, gain, Y, 120, bias, 20, OUT, 128, N, C),
  },
]);

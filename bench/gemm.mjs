// int8 GEMM with the requantising epilogue on linears of DeiT-Tiny, and of the first and the last stage of Swin-T:
//   npm run build:wasm && node bench/gemm.mjs [--json]
import { compare, tiers } from './support.mjs';

const A = 1 << 16,
  W = 2 << 20,
  BIAS = 5 << 20,
  MULTIPLIER = BIAS + 16384,
  OUT = 6 << 20,
  SCRATCH = 9 << 20;
const linear = (name, m, n, k, kernel = 'linear') => ({
  name: `${name} ${m}×${k}×${n}`,
  work: m * n * k,
  unit: 'MAC',
  run: (kernels) => kernels[kernel](A, k, 120, W, BIAS, MULTIPLIER, 0, 45, OUT, n, 128, m, n, k, SCRATCH),
});
const block = (m, c) => [
  linear('qkv', m, 3 * c, c),
  linear('proj', m, c, c),
  linear('fc1', m, 4 * c, c, 'linear_fine'),
  linear('fc2', m, c, 4 * c),
];
compare('gemm', tiers(10 << 20), [...block(197, 192), ...block(56 ** 2, 96), ...block(7 ** 2, 768)]);

// int8 GEMM with the requantising epilogue on the linears of DeiT-Tiny: `npm run build:wasm && node bench/gemm.mjs [--json]`
import { compare, tiers } from './support.mjs';

const A = 1 << 16,
  W = 1 << 20,
  BIAS = 2 << 20,
  MULTIPLIER = BIAS + 8192,
  OUT = 3 << 20,
  SCRATCH = 5 << 20;
const M = 197;
const linear = (name, n, k, kernel = 'linear') => ({
  name: `${name} ${M}×${k}×${n}`,
  work: M * n * k,
  unit: 'MAC',
  run: (kernels) => kernels[kernel](A, k, 120, W, BIAS, MULTIPLIER, 0, 45, OUT, n, 128, M, n, k, SCRATCH),
});
compare('gemm', tiers(8 << 20), [
  linear('qkv', 576, 192),
  linear('proj', 192, 192),
  linear('fc1', 768, 192, 'linear_fine'),
  linear('fc2', 192, 768),
]);

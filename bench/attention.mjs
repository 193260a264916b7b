// q·kᵀ and attention·V of one head of DeiT-Tiny: `npm run build:wasm && node bench/attention.mjs [--json]`
import { compare, tiers } from './support.mjs';

const QKV = 1 << 16,
  SCORES = 1 << 20,
  OUT = 2 << 20,
  SCRATCH = 3 << 20;
const N = 197,
  D = 64,
  LD = 576,
  LDS = 208;
const context = (name, kernel) => ({
  name,
  work: N * N * D,
  unit: 'MAC',
  run: (k) => k[kernel](SCORES, LDS, QKV + 384, LD, 120, -(2 ** 30), 0, 50, OUT, 192, 128, N, D, SCRATCH),
});
compare('attention', tiers(4 << 20), [
  {
    name: 'q·kᵀ',
    work: N * N * D,
    unit: 'MAC',
    run: (k) => k.scores(QKV, QKV + 192, LD, 120, 2 ** 30, 0, 40, SCORES, LDS, 120, N, D, SCRATCH),
  },
  context('attention·V, log2 codes', 'context_log2'),
  context('attention·V, uniform codes', 'context_uniform'),
]);

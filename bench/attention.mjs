// q·kᵀ and attention·V of one head of DeiT-Tiny, and of one head in one window of Swin-T: `npm run build:wasm && node bench/attention.mjs [--json]`
import { compare, tiers } from './support.mjs';

const QKV = 1 << 16,
  SCORES = 1 << 20,
  OUT = 2 << 20,
  SCRATCH = 3 << 20;
const products = ({ model, n, d, ld, lds }) => {
  const context = (kernel) => (k) =>
    k[kernel](SCORES, lds, QKV + (2 * ld) / 3, ld, 120, -(2 ** 30), 0, 50, OUT, ld / 3, 128, n, d, SCRATCH);
  return [
    {
      name: `${model}: q·kᵀ`,
      run: (k) => k.scores(QKV, QKV + ld / 3, ld, 120, 2 ** 30, 0, 40, SCORES, lds, 120, n, d, SCRATCH),
    },
    { name: `${model}: attention·V, log2 codes`, run: context('context_log2') },
    { name: `${model}: attention·V, uniform codes`, run: context('context_uniform') },
  ].map((product) => ({ ...product, work: n * n * d, unit: 'MAC' }));
};
compare('attention', tiers(4 << 20), [
  ...products({ model: 'DeiT', n: 197, d: 64, ld: 576, lds: 208 }),
  ...products({ model: 'Swin', n: 49, d: 32, ld: 288, lds: 64 }),
]);

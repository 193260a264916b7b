// q·kᵀ and attention·V of one head of a DeiT, and of one head in one window of a Swin
// (options and sample rule: kernels.mjs):
//   npm run build:wasm && node bench/attention.mjs [--only Swin] [--json]
import { compare } from './kernels.mjs';

const SHAPES = [
  { model: 'DeiT-T', n: 197, d: 64, c: 192 },
  { model: 'DeiT-S', n: 197, d: 64, c: 384 },
  { model: 'Swin-T stage 1', n: 49, d: 32, c: 96 },
  { model: 'Swin-T stage 4', n: 49, d: 32, c: 768 },
];

const products = ({ model, n, d, c }) => {
  const ld = 3 * c;
  const lds = Math.ceil(n / 16) * 16;
  const qkvRows = n + 8; // reads go to rows behind the last
  const scratchBytes = 2 * (n + 8) * (n + 8 + d) + 64;
  const scores = (workspace) => {
    const { kernels } = workspace;
    const qkv = workspace.codes(qkvRows * ld);
    const out = workspace.room(n * lds);
    const scratch = workspace.room(scratchBytes);
    return () => kernels.scores(qkv, qkv + c, ld, 120, 2 ** 30, 0, 40, out, lds, 120, n, n, d, scratch);
  };
  const context = (kernel, multiplier, bits) => (workspace) => {
    const { kernels } = workspace;
    const v = workspace.codes(qkvRows * ld) + 2 * c;
    const p = workspace.codes(n * lds, bits);
    const out = workspace.room(n * c);
    const scratch = workspace.room(scratchBytes);
    const operands = [p, lds, v, ld, 120, multiplier, 0, 50, out, c, 128, 255, n, n, d, scratch];
    return () => kernels[kernel](...operands);
  };
  const float = (product) => (workspace) => {
    const { kernels } = workspace;
    const qkv = workspace.floats(n * ld);
    const square = workspace.floats(n * n);
    const out = workspace.room(4 * n * c);
    const panels = workspace.room(4 * (n + 8) * d);
    const scratch = workspace.room(kernels.gemm_scratch_bytes(Math.max(n, d)));
    return product === 'scores'
      ? () => {
          kernels.pack_weights(qkv + 4 * c, ld, panels, n, d);
          kernels.gemm(qkv, ld, panels, 0, square, n, n, n, d, 0.125, scratch);
        }
      : () => {
          kernels.pack_columns(qkv + 8 * c, ld, panels, d, n);
          kernels.gemm(square, n, panels, 0, out, c, n, d, n, 1, scratch);
        };
  };
  const ofContext = float('context');
  return [
    { name: `${model}: q·kᵀ`, integer: scores, float: float('scores') },
    {
      name: `${model}: attention·V, log2 codes`,
      integer: context('context_log2', -(2 ** 30), 4),
      float: ofContext,
    },
    {
      name: `${model}: attention·V, uniform codes`,
      integer: context('context_uniform', 2 ** 30, 8),
      float: ofContext,
    },
  ].map((product) => ({ ...product, work: n * n * d, unit: 'MAC' }));
};
compare('attention', SHAPES.flatMap(products));

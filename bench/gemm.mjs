// Linear layers with the requantising epilogue, for each width of weights and activations; float is
// the f32 product of the same shape (options and sample rule: kernels.mjs):
//   npm run build:wasm && node bench/gemm.mjs [--weight-bits 8,7,6,4] [--activation-bits 8,7]
//     [--only "DeiT-T qkv"] [--json]
import { LINEAR_CHUNK, PANEL_SUMS } from '../dist/runtime/kernel-sizes.js';
import { compare } from './kernels.mjs';
import { list, random } from './support.mjs';

const widths = list('weight-bits', '8,7,6,4').map(Number);
const activations = list('activation-bits', '8,7').map(Number);

const integer =
  ({ m, n, k, kernel }, wBits, aBits) =>
  (workspace) => {
    const { kernels } = workspace;
    const codes = workspace.codes(m * k, aBits);
    const weights = workspace.put(
      Int8Array.from({ length: n * k }, () => Math.floor(2 ** (wBits - 1) * random())),
    );
    const panels = workspace.room((n / 8) * (8 * k + PANEL_SUMS));
    kernels.pack_weights(weights, n, k, k, wBits, panels);
    const bias = workspace.integers(n, 0);
    const multiplier = workspace.integers(n, 2 ** 30);
    const out = workspace.room(2 * m * n);
    const scratch = workspace.room(LINEAR_CHUNK + 16 * k + 64);
    const [za, zo] = [2 ** (aBits - 1), 128];
    const operands = [
      ...[codes, k, za, aBits, panels, wBits, bias, multiplier, 0, 42],
      ...[out, n, zo, m, n, k, scratch],
    ];
    return () => kernels[kernel](...operands);
  };

const float =
  ({ m, n, k }) =>
  (workspace) => {
    const { kernels } = workspace;
    const a = workspace.floats(m * k);
    const panels = workspace.room(4 * n * k);
    kernels.pack_weights(workspace.floats(n * k), k, panels, n, k);
    const bias = workspace.floats(n);
    const out = workspace.room(4 * m * n);
    const scratch = workspace.room(kernels.gemm_scratch_bytes(k));
    return () => kernels.gemm(a, k, panels, bias, out, n, m, n, k, 1, scratch);
  };

const block = (model, m, c) => [
  { name: `${model} qkv`, m, n: 3 * c, k: c, kernel: 'linear' },
  { name: `${model} proj`, m, n: c, k: c, kernel: 'linear' },
  { name: `${model} fc1`, m, n: 4 * c, k: c, kernel: 'linear_fine' },
  { name: `${model} fc2`, m, n: c, k: 4 * c, kernel: 'linear' },
];
const layers = [
  ...block('DeiT-T', 197, 192),
  ...block('DeiT-S', 197, 384),
  ...block('Swin-T stage 1', 56 ** 2, 96),
  ...block('Swin-T stage 4', 7 ** 2, 768),
];
compare(
  'gemm',
  layers.flatMap((layer) =>
    widths.flatMap((wBits) =>
      activations.map((aBits) => ({
        name: `${layer.name} ${layer.m}×${layer.k}×${layer.n}, ${wBits}-bit weights, ${aBits}-bit codes`,
        work: layer.m * layer.n * layer.k,
        unit: 'MAC',
        integer: integer(layer, wBits, aBits),
        float: float(layer),
      })),
    ),
  ),
);

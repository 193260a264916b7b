// GELU between the linear layers of an MLP: a table of 12-bit codes against the f32 function. The
// f32 function works in place, so its input is 8, a fixed point (options and sample rule:
// kernels.mjs):
//   npm run build:wasm && node bench/gelu.mjs [--json]
import { compare } from './kernels.mjs';
import { random } from './support.mjs';

const gelu = ({ model, rows, c }) => ({
  name: `${model} ${rows}×${c}`,
  work: rows * c,
  unit: 'elements',
  integer: (workspace) => {
    const { kernels } = workspace;
    const x = workspace.put(Uint16Array.from({ length: rows * c }, () => 2048 * (1 + random())));
    const table = workspace.codes(4096);
    const out = workspace.room(rows * c);
    return () => kernels.gelu(x, table, out, rows * c);
  },
  float: (workspace) => {
    const x = workspace.put(new Float32Array(rows * c).fill(8));
    return () => workspace.kernels.gelu(x, rows * c);
  },
});
compare(
  'gelu',
  [
    { model: 'DeiT-T', rows: 197, c: 768 },
    { model: 'DeiT-S', rows: 197, c: 1536 },
    { model: 'Swin-T stage 1', rows: 56 ** 2, c: 384 },
    { model: 'Swin-T stage 4', rows: 7 ** 2, c: 3072 },
  ].map(gelu),
);

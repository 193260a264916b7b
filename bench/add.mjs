// Residual addition, also of a Swin's window-ordered rows to its map
// (options and sample rule: kernels.mjs):
//   npm run build:wasm && node bench/add.mjs [--json]
import { compare } from './kernels.mjs';

const WINDOW = 7;
const SHIFT = 3;

const add = ({ model, rows, c, side }) => ({
  name: `${model} ${rows}×${c}${side ? ', from window order' : ''}`,
  work: rows * c,
  unit: 'elements',
  integer: (workspace) => {
    const { kernels } = workspace;
    const [a, b, out] = [0, 0, 0].map(() => workspace.codes(rows * c));
    const [ma, mb] = [0, 0].map(() => workspace.integers(c, 2 ** 19));
    const operands = [a, 120, ma, b, 120, mb, 20, out, 128];
    return side
      ? () => kernels.add_windows(...operands, c, side, WINDOW, SHIFT, 0, rows / WINDOW)
      : () => kernels.add(...operands, rows, c);
  },
  float: (workspace) => {
    const { kernels } = workspace;
    const [a, b, out] = [0, 0, 0].map(() => workspace.floats(rows * c));
    return side
      ? () => kernels.add_windows(a, b, 1, side, WINDOW, SHIFT, c)
      : () => kernels.add(a, b, out, rows * c);
  },
});
compare(
  'add',
  [
    { model: 'DeiT-T', rows: 197, c: 192 },
    { model: 'DeiT-S', rows: 197, c: 384 },
    { model: 'Swin-T stage 1', rows: 56 ** 2, c: 96 },
    { model: 'Swin-T stage 1', rows: 56 ** 2, c: 96, side: 56 },
    { model: 'Swin-T stage 4', rows: 7 ** 2, c: 768 },
  ].map(add),
);

// LayerNorm with power-of-two factors; for a Swin also into window order, and of merged patches
// (options and sample rule: kernels.mjs):
//   npm run build:wasm && node bench/layernorm.mjs [--only Swin] [--json]
import { compare } from './kernels.mjs';

const WINDOW = 7;
const SHIFT = 3;
const EPS = 1e-6;

// the arguments of each form, without the parameters that all share; rows are those of the output
const inOrder = {
  form: 'layernorm',
  integer: ({ rows, c }) => [rows, c],
  float: (kernels, x, gamma, beta, y, { rows, c }) => kernels.layernorm(x, c, gamma, beta, y, rows, c, EPS),
};
const intoWindows = {
  form: 'into window order',
  kernel: 'layernorm_windows',
  integer: ({ side, c }) => [c, side, WINDOW, SHIFT, 0, side ** 2 / WINDOW],
  float: (kernels, x, gamma, beta, y, { side, c }) =>
    kernels.layernorm_windows(x, gamma, beta, y, 1, side, WINDOW, SHIFT, c, EPS),
};
const merged = {
  form: 'merged patches',
  kernel: 'layernorm_merge',
  integer: ({ rows, c, side }, workspace) => [c, side, 0, rows, workspace.room(c)],
  float: (kernels, x, gamma, beta, y, { side, c }) =>
    kernels.layernorm_merge(x, gamma, beta, y, 1, side, c / 4, EPS),
};

const layerNorm = ({ model, form, kernel = form, integer, float, ...shape }) => {
  const { rows, c } = shape;
  return {
    name: `${model} ${rows}×${c}${kernel === form ? '' : `, ${form}`}`,
    work: rows * c,
    unit: 'elements',
    integer: (workspace) => {
      const { kernels } = workspace;
      const x = workspace.codes(rows * c);
      const power = workspace.put(new Int16Array(c).map((_, i) => 1 << (i % 4)));
      const gain = workspace.integers(c, 2 ** 30);
      const bias = workspace.integers(c, 0);
      const out = workspace.room(rows * c);
      const operands = [x, 120, power, gain, bias, 37, out, 128, 255, ...integer(shape, workspace)];
      return () => kernels[kernel](...operands);
    },
    float: (workspace) => {
      const places = [rows * c, c, c, rows * c].map((count) => workspace.floats(count));
      return () => float(workspace.kernels, ...places, shape);
    },
  };
};
compare(
  'layernorm',
  [
    { model: 'DeiT-T', rows: 197, c: 192, ...inOrder },
    { model: 'DeiT-S', rows: 197, c: 384, ...inOrder },
    { model: 'Swin-T stage 1', rows: 56 ** 2, c: 96, ...inOrder },
    { model: 'Swin-T stage 1', rows: 56 ** 2, c: 96, side: 56, ...intoWindows },
    { model: 'Swin-T stage 1', rows: 28 ** 2, c: 4 * 96, side: 56, ...merged },
    { model: 'Swin-T stage 4', rows: 7 ** 2, c: 768, ...inOrder },
  ].map(layerNorm),
);

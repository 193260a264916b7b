// Mean over the tokens of a Swin's last stage, the same in all tiers
// (options and sample rule: kernels.mjs):
//   npm run build:wasm && node bench/pool.mjs [--json]
import { compare } from './kernels.mjs';

const pool = ({ model, rows, c }) => ({
  name: `${model} ${rows}×${c}`,
  work: rows * c,
  unit: 'elements',
  integer: (workspace) => {
    const { kernels } = workspace;
    const x = workspace.codes(rows * c);
    const out = workspace.room(c);
    return () => kernels.pool(x, 120, 2 ** 30, 0, 36, out, 128, rows, c);
  },
  float: (workspace) => {
    const x = workspace.floats(rows * c);
    const out = workspace.room(4 * c);
    return () => workspace.kernels.pool(x, out, 1, rows, c);
  },
});
compare('pool', [{ model: 'Swin-T', rows: 7 ** 2, c: 768 }].map(pool));

// Swin's relative position bias: added to the scores of one head in all windows of a map
// (options and sample rule: kernels.mjs):
//   npm run build:wasm && node bench/bias.mjs [--json]
import { compare } from './kernels.mjs';

const WINDOW = 7;
const N = WINDOW ** 2;
const LD = 64;

const bias = ({ stage, windows, heads }) => ({
  name: `Swin-T stage ${stage}, ${windows} ${windows > 1 ? 'windows' : 'window'}`,
  work: windows * N ** 2,
  unit: 'elements',
  integer: (workspace) => {
    const { kernels } = workspace;
    const [scores, out] = [0, 0].map(() => workspace.codes(windows * heads * N * LD));
    const table = workspace.codes((2 * WINDOW - 1) ** 2 * heads);
    const scratch = workspace.room(4 * N * LD);
    const operands = [
      ...[scores, 120, 2 ** 19, table, heads, 120, 2 ** 19, 20, out, 128],
      ...[windows, heads * N * LD, WINDOW, LD, scratch],
    ];
    return () => kernels.bias(...operands);
  },
  float: (workspace) => {
    const scores = workspace.floats(windows * N ** 2);
    const bias = workspace.floats(N ** 2);
    return () => workspace.kernels.add_repeated(scores, bias, windows, N ** 2);
  },
});
compare(
  'bias',
  [
    { stage: 1, windows: 64, heads: 3 },
    { stage: 2, windows: 16, heads: 6 },
    { stage: 3, windows: 4, heads: 12 },
    { stage: 4, windows: 1, heads: 24 },
  ].map(bias),
);

// Softmax of the scores of one head of a DeiT, and of one head in one window of a Swin, with and
// without the mask of a shifted map's right edge (options and sample rule: kernels.mjs). The scores
// are bell-shaped around the middle code, with the scale 1/16. In float the mask is already added
// to the scores:
//   npm run build && node bench/softmax.mjs [--only log2] [--json]

import { exponentialTable } from '../dist/layers/softmax/exponential-table.js';
import { areNeighbours } from '../dist/layers/windows.js';
import { compare } from './kernels.mjs';
import { random } from './support.mjs';

const SCALE = 1 / 16;
const WINDOW = 7;
const SHIFT = 3;
const RIGHT_EDGE = 1;
const LEVELS = 255 << 12;

const bell = () => 128 + 32 * (random() + random() + random() + random());

const softmax = ({ name, n, isMasked = false }) => {
  const ld = Math.ceil(n / 16) * 16;
  const integer =
    (kernel, ...levels) =>
    (workspace) => {
      const { kernels } = workspace;
      const scores = workspace.put(Uint8Array.from({ length: n * ld }, bell));
      const out = workspace.room(n * ld);
      const table = workspace.put(exponentialTable(SCALE, n));
      const mask = isMasked ? workspace.put(maskOf(n, ld)) : 0;
      const scratch = workspace.room(4096 + ld);
      const operands = [scores, ld, out, n, n, table, ...levels, mask, scratch];
      return () => kernels[kernel](...operands);
    };
  const float = (workspace) => {
    const scores = workspace.floats(n * n);
    return () => workspace.kernels.softmax(scores, n, n);
  };
  return [
    { name: `${name}, log2 codes`, integer: integer('softmax_log2') },
    { name: `${name}, uniform codes`, integer: integer('softmax_uniform', LEVELS) },
  ].map((kind) => ({ ...kind, work: n * n, unit: 'elements', float }));
};

function maskOf(n, ld) {
  return Uint8Array.from({ length: n * ld }, (_, at) => {
    const [i, j] = [Math.floor(at / ld), at % ld];
    return j < n && areNeighbours(RIGHT_EDGE, i, j, WINDOW, SHIFT) ? 255 : 0;
  });
}

compare(
  'softmax',
  [
    { name: 'DeiT 197×197', n: 197 },
    { name: 'Swin 49×49', n: WINDOW ** 2 },
    { name: 'Swin 49×49 masked', n: WINDOW ** 2, isMasked: true },
  ].flatMap(softmax),
);

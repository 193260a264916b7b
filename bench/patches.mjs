// Pixels to the rows of the patch embedding's matrix: one look-up each, the same in all tiers,
// against normalising and gathering in f32 (options and sample rule: kernels.mjs):
//   npm run build:wasm && node bench/patches.mjs [--json]
import { compare } from './kernels.mjs';

const SIZE = 224;

const patches = ({ model, patch }) => {
  const count = (SIZE / patch) ** 2;
  const values = 3 * SIZE ** 2;
  return {
    name: `${model}, ${count} patches of ${patch}×${patch}`,
    work: values,
    unit: 'elements',
    integer: (workspace) => {
      const { kernels } = workspace;
      const pixels = workspace.codes(values);
      const table = workspace.codes(3 * 256);
      const out = workspace.room(values);
      const inputs = 3 * patch ** 2;
      return () => kernels.patches(pixels, table, 120, SIZE, patch, inputs, 0, count, out);
    },
    float: (workspace) => {
      const { kernels } = workspace;
      const pixels = workspace.codes(values);
      const table = workspace.floats(3 * 256);
      const [x, out] = [0, 0].map(() => workspace.room(4 * values));
      return () => {
        kernels.normalise(pixels, table, x, SIZE ** 2);
        kernels.patches(x, SIZE, patch, out);
      };
    },
  };
};
compare(
  'patches',
  [
    { model: 'DeiT', patch: 16 },
    { model: 'Swin', patch: 4 },
  ].map(patches),
);

import ort from 'onnxruntime-node';
import { channelsFirst } from '../pixels.mjs';

export async function create(file, { threads }) {
  const session = await ort.InferenceSession.create(file, {
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    graphOptimizationLevel: 'all',
  });
  return {
    version: ort.env.versions.node,
    prepare: (pixels) => new ort.Tensor('float32', channelsFirst(pixels), [1, 3, 224, 224]),
    run: async (input) => (await session.run({ pixel_values: input })).logits.data,
  };
}

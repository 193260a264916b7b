import { readFileSync } from 'node:fs';
import * as ort from 'onnxruntime-web';
import { channelsFirst } from '../pixels.mjs';

export async function create(file, { threads }) {
  ort.env.wasm.numThreads = threads;
  const session = await ort.InferenceSession.create(new Uint8Array(readFileSync(file)), {
    executionProviders: ['wasm'],
    graphOptimizationLevel: 'all',
  });
  return {
    version: ort.env.versions.web,
    prepare: (pixels) => new ort.Tensor('float32', channelsFirst(pixels), [1, 3, 224, 224]),
    run: async (input) => (await session.run({ pixel_values: input })).logits.data,
  };
}

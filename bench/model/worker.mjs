// A model of one thread, one of several that run at once (run.mjs): says how much memory it holds, then computes as many images as a
// message says and answers with the codes of the last.
import { parentPort, workerData } from 'node:worker_threads';
import { load } from '../../dist/index.js';
import { noise } from '../generated.mjs';

const { file, tier } = workerData;
const model = await load(file, { tier });
const { data } = noise(model.info.preprocessing.imageSize);
parentPort.on('message', (count) => {
  let codes;
  for (let i = 0; i < count; i++) codes = model.codesOfPixels(data);
  parentPort.postMessage(codes);
});
parentPort.postMessage(model.info.memoryBytes);

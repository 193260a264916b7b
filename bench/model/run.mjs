// Models of one thread each, in workers that share the images: one contender of bench/model.mjs in
// this process. The argument says which one, as JSON.
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { answerWith, measure } from '../../dist/bench/measure.js';

const { rule, batch, file, tier, threads } = JSON.parse(process.argv[2]);

async function openModels() {
  const script = new URL('worker.mjs', import.meta.url);
  const workers = Array.from({ length: threads }, () => new Worker(script, { workerData: { file, tier } }));
  const answers = () => Promise.all(workers.map(async (worker) => (await once(worker, 'message'))[0]));
  const sizes = await answers();
  return {
    wasmBytes: sizes.reduce((sum, size) => sum + size, 0),
    run: async (count) => {
      const edge = (i) => Math.floor((i * count) / threads);
      const done = answers();
      for (const [i, worker] of workers.entries()) worker.postMessage(edge(i + 1) - edge(i));
      return (await done).at(-1);
    },
  };
}

await answerWith(measure(openModels, rule, batch));

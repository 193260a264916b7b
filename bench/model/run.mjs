// One contender of bench/model.mjs in this process. The argument says which one, as JSON; prints
// one JSON document.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { openFloat, openInteger } from '../../dist/bench/contender.js';
import { measure } from '../../dist/bench/measure.js';
import { readFloatModel } from '../../dist/quantize/index.js';

const { way, rule, batch, ...contender } = JSON.parse(process.argv[2]);

const WAYS = { float: floatModel, threads: openInteger, models: parallelModels };

function floatModel({ file, arch }) {
  return openFloat(readFloatModel(new Uint8Array(readFileSync(file)), { file, arch }));
}

/** A model of one thread in each of several workers, which share the images. */
async function parallelModels({ file, tier, threads }) {
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

console.log(JSON.stringify(await measure(() => WAYS[way](contender), rule, batch)));
process.exit(0); // workers would keep the process alive

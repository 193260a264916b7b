// One contender of bench/model.mjs in this process, and nothing else. The argument says which, as JSON; prints one JSON document.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { load } from '../../dist/index.js';
import { noise } from '../generated.mjs';
import { median, peakResident } from '../support.mjs';

const { way, warmUp, measured, batch, ...contender } = JSON.parse(process.argv[2]);

/** Each gives `run(count)`, which computes so many images and returns the last answer. */
const WAYS = { float: floatModel, threads: sharedImages, models: parallelModels };

async function floatModel({ file, arch }) {
  const { FloatRunner } = await import('../../dist/models/float.js');
  const { readFloatModel } = await import('../../dist/quantize/index.js');
  const wasm = readFileSync(new URL('../../wasm/fqvit.float.wasm', import.meta.url));
  const runner = await FloatRunner.create(
    readFloatModel(new Uint8Array(readFileSync(file)), { file, arch }),
    {
      wasm,
    },
  );
  const { data } = noise(runner.model.architecture.imageSize);
  return { wasmBytes: runner.memoryBytes, run: (count) => repeat(count, () => runner.run([data])[0]) };
}

/** Images one after the other, the threads share each. */
async function sharedImages({ file, tier, threads }) {
  const model = await load(file, { tier, threads });
  const { data } = noise(model.info.preprocessing.imageSize);
  return {
    wasmBytes: model.info.memoryBytes,
    run: (count) => repeat(count, () => model.codesOfPixels(data)),
  };
}

/** A model of one thread in each worker, which share the images. */
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

function repeat(count, run) {
  for (let i = 1; i < count; i++) run();
  return run();
}

/** ms an image of each run, until there are as many or the time is up; at least one. */
async function times({ runs, seconds }, run) {
  const ms = [];
  const end = performance.now() + 1000 * seconds;
  do {
    const start = performance.now();
    await run(batch);
    ms.push((performance.now() - start) / batch);
  } while (ms.length < runs && performance.now() < end);
  return ms;
}

const start = performance.now();
const { run, wasmBytes } = await WAYS[way](contender);
const loadMs = performance.now() - start;
await times(warmUp, run);
const ms = await times(measured, run);
const answer = createHash('sha256')
  .update(new Uint8Array((await run(batch)).buffer))
  .digest('hex');
console.log(
  JSON.stringify({
    loadMs,
    medianMs: median(ms),
    minMs: Math.min(...ms),
    runs: ms.length,
    wasmBytes,
    residentBytes: peakResident(),
    answer,
  }),
);
process.exit(0); // workers would keep the process

// One of several models of one thread that run at once (run.mjs). Posts how much memory it holds;
// then computes as many images as each message says, and posts the codes of the last one.
import { parentPort, workerData } from 'node:worker_threads';
import { openContender } from '../../dist/bench/contender.js';

const { run, wasmBytes } = await openContender({ kind: 'integer', ...workerData, threads: 1 });
parentPort.on('message', (count) => parentPort.postMessage(run(count)));
parentPort.postMessage(wasmBytes);

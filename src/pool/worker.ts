/**
 * The script of a pool's worker: one lane, one image after the other. `npm run build` bundles it
 * with all imports, so that it opens no file later: a file that is open when a thread is terminated
 * stays open until the process ends.
 */
import { parentPort } from 'node:worker_threads';
import { readIntegerModel } from '../checkpoint/integer/model.js';
import { IntegerRunner } from '../forward/integer/runner.js';
import { takeCodecs } from '../image/codecs-node.js';
import type { ImageSource, PixelOptions } from '../image/source.js';
import { type ClassifyOptions, Model } from '../model/model.js';
import type { MemoryGate } from '../platform/memory-gate.js';
import { yieldToEvents } from '../platform/yield-to-events.js';
import {
  type MemoryMessage,
  type Message,
  type PoolTask,
  type Question,
  serializeError,
  type TakenSeat,
  type WorkerReply,
} from './messages.js';

const port = parentPort!;
const STOPPED = new Error('stopped');

/** With more garbage than this, the thread ends instead of waiting for the collector. */
const RETIRE_BYTES = 64 * 2 ** 20;

/** Signals of the tasks without an answer. */
const stops = new Map<number, AbortController>();
/** Tasks whose images wait for memory. */
const granted = new Map<number, () => void>();
let retires = false;
let model: Model;
let imageMemory: number;
let last: Promise<void> = Promise.resolve();

async function sit(seat: TakenSeat): Promise<void> {
  const { bytes, name, tier, module, codecs, lane } = seat;
  imageMemory = seat.imageMemory;
  takeCodecs(codecs);
  const checkpoint = readIntegerModel(bytes, { file: name });
  const runner = await IntegerRunner.create(checkpoint, module, 1, lane);
  model = new Model(checkpoint, bytes.length, tier, 1, runner);
}

/** The thread with the budget says when there is memory for a task's image. */
function gateOf(id: number): MemoryGate {
  return {
    limit: imageMemory,
    enter: (bytes, signal) =>
      new Promise((resolve, reject) => {
        signal?.throwIfAborted();
        const leave = (left: number) => {
          if (left > RETIRE_BYTES) retires = true;
          else port.postMessage({ id, gives: true } satisfies MemoryMessage);
        };
        const settle = () => {
          granted.delete(id);
          signal?.removeEventListener('abort', aborted);
        };
        const aborted = () => {
          settle();
          leave(0);
          reject(signal!.reason);
        };
        signal?.addEventListener('abort', aborted);
        granted.set(id, () => {
          settle();
          resolve(leave);
        });
        port.postMessage({ id, needs: bytes } satisfies MemoryMessage);
      }),
  };
}

async function compute(
  id: number,
  { call, image, options }: PoolTask,
  signal: AbortSignal,
): Promise<unknown> {
  await yieldToEvents(); // a message that stops it may have arrived
  signal.throwIfAborted();
  const gated: ClassifyOptions & PixelOptions = { ...options, signal, gate: gateOf(id) };
  return model[call](image as ImageSource, gated);
}

async function answer({ id, message }: Question<TakenSeat | PoolTask>, signal: AbortSignal): Promise<void> {
  let reply: WorkerReply;
  try {
    reply = { id, result: await ('call' in message ? compute(id, message, signal) : sit(message)) };
  } catch (error) {
    reply = { id, error: serializeError(error) };
  }
  stops.delete(id);
  port.postMessage({ ...reply, retires });
}

function take(message: Message): void {
  if ('granted' in message) {
    granted.get(message.granted)?.();
  } else if ('stop' in message) {
    stops.get(message.stop)?.abort(STOPPED);
  } else if ('end' in message) {
    for (const stop of stops.values()) stop.abort(STOPPED);
    // without a listener the thread ends by itself, and leaves no files open as terminate() and
    // exit() do
    port.off('message', take);
  } else {
    const stop = new AbortController();
    stops.set(message.id, stop);
    last = last.then(() => answer(message, stop.signal));
  }
}
port.on('message', take);

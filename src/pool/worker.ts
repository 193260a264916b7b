/** The script of a worker of a pool: one lane. While an image is read, another is computed. */
import { parentPort } from 'node:worker_threads';
import { readIntegerModel } from '../checkpoint/integer-model.js';
import { type ClassifyOptions, Model } from '../classify.js';
import type { ImageSource, PixelOptions } from '../image/source.js';
import { IntegerRunner } from '../models/integer.js';
import type { MemoryGate } from '../platform/memory-gate.js';
import {
  type Answer,
  carried,
  type Grant,
  type MemoryMessage,
  type Message,
  type TakenSeat,
  type Task,
} from './messages.js';

const port = parentPort!;

/** More than this, left to the garbage collector, is not waited for: the thread ends, and its memory with it. */
const RETIRE_BYTES = 64 * 2 ** 20;

async function sit({ bytes, name, tier, module, lane }: TakenSeat): Promise<Model> {
  const checkpoint = readIntegerModel(bytes, { file: name });
  const runner = await IntegerRunner.create(checkpoint, module, 1, lane);
  return new Model(checkpoint, bytes.length, tier, 1, runner);
}

/** Tasks whose images wait for memory. */
const granted = new Map<number, () => void>();
let retires = false;

/** The thread that has the budget says when there is memory for the image of a task. */
function gateOf(id: number, limit: number): MemoryGate {
  return {
    limit,
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

async function answer(id: number, making: Promise<unknown>): Promise<void> {
  let message: Answer;
  try {
    message = { id, result: await making };
  } catch (error) {
    message = { id, error: carried(error) };
  }
  port.postMessage({ ...message, retires });
}

port.once('message', async ({ id, message: seat }: Message<TakenSeat>) => {
  const sitting = sit(seat);
  await answer(
    id,
    sitting.then(() => undefined),
  );
  port.on('message', async (message: Message<Task> | Grant) => {
    if ('granted' in message) {
      granted.get(message.granted)?.();
      return;
    }
    const { id, message: task } = message;
    const { call, image, options } = task;
    const model = await sitting;
    const gated: ClassifyOptions & PixelOptions = { ...options, gate: gateOf(id, seat.imageMemory) };
    await answer(id, model[call](image as ImageSource, gated));
  });
});

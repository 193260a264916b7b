/**
 * The script of a worker of a pool: one lane, one image after the other. `npm run build` makes one file of it and all that it imports: once it
 * runs, it opens no file, because one that is open where a thread is terminated stays open until the process ends.
 */
import { parentPort } from 'node:worker_threads';
import { readIntegerModel } from '../checkpoint/integer-model.js';
import { Model } from '../classify.js';
import { takeCodecs } from '../image/codecs-node.js';
import type { ImageSource } from '../image/source.js';
import { IntegerRunner } from '../models/integer.js';
import { breathe } from '../platform/breathe.js';
import { type Answer, carried, type Message, type Question, type TakenSeat, type Task } from './messages.js';

const port = parentPort!;
const STOPPED = new Error('stopped');

/** Of the tasks that have no answer yet. */
const stops = new Map<number, AbortController>();
let model: Model;
let last: Promise<void> = Promise.resolve();

async function sit({ bytes, name, tier, module, codecs, lane }: TakenSeat): Promise<void> {
  takeCodecs(codecs);
  const checkpoint = readIntegerModel(bytes, { file: name });
  const runner = await IntegerRunner.create(checkpoint, module, 1, lane);
  model = new Model(checkpoint, bytes.length, tier, 1, runner);
}

async function compute({ call, image, options }: Task, signal: AbortSignal): Promise<unknown> {
  await breathe(); // a message that stops it may have come
  signal.throwIfAborted();
  return model[call](image as ImageSource, { ...options, signal });
}

async function answer({ id, message }: Question<TakenSeat | Task>, signal: AbortSignal): Promise<void> {
  let reply: Answer;
  try {
    reply = { id, result: await ('call' in message ? compute(message, signal) : sit(message)) };
  } catch (error) {
    reply = { id, error: carried(error) };
  }
  stops.delete(id);
  port.postMessage(reply);
}

function take(message: Message): void {
  if ('stop' in message) {
    stops.get(message.stop)?.abort(STOPPED);
  } else if ('end' in message) {
    for (const stop of stops.values()) stop.abort(STOPPED);
    // with nobody who listens the thread ends when nothing is under way: nothing is left open, as terminate() and exit() leave files
    port.off('message', take);
  } else {
    const stop = new AbortController();
    stops.set(message.id, stop);
    last = last.then(() => answer(message, stop.signal));
  }
}
port.on('message', take);

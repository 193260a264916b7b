/** The script of a worker of a pool: one lane. While an image is read, another is computed. */
import { parentPort } from 'node:worker_threads';
import { readIntegerModel } from '../checkpoint/integer-model.js';
import { Model } from '../classify.js';
import type { ImageSource } from '../image/source.js';
import { IntegerRunner } from '../models/integer.js';
import { type Answer, carried, type Message, type TakenSeat, type Task } from './messages.js';

const port = parentPort!;

async function sit({ bytes, name, tier, module, lane }: TakenSeat): Promise<Model> {
  const checkpoint = readIntegerModel(bytes, { file: name });
  const runner = await IntegerRunner.create(checkpoint, module, 1, lane);
  return new Model(checkpoint, bytes.length, tier, 1, runner);
}

async function answer(id: number, making: Promise<unknown>): Promise<void> {
  let message: Answer;
  try {
    message = { id, result: await making };
  } catch (error) {
    message = { id, error: carried(error) };
  }
  port.postMessage(message);
}

port.once('message', async ({ id, message: seat }: Message<TakenSeat>) => {
  const sitting = sit(seat);
  await answer(
    id,
    sitting.then(() => undefined),
  );
  port.on('message', async ({ id, message: { call, image, options } }: Message<Task>) => {
    const model = await sitting;
    await answer(id, model[call](image as ImageSource, options));
  });
});

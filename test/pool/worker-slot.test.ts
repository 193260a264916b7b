import { readFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeAll, beforeEach, expect, jest, test } from '@jest/globals';
import { readIntegerModel } from '../../src/checkpoint/integer/model.js';
import { IntegerRunner } from '../../src/forward/integer/runner.js';
import { compileCodecs } from '../../src/image/codecs-node.js';
import { MemoryBudget } from '../../src/platform/memory-budget.js';
import type { PoolTask, Seat } from '../../src/pool/messages.js';
import type { WorkerSlot as SourceSeated } from '../../src/pool/worker-slot.js';
import { tinyIntegerFile } from '../support/tiny-integer.js';

// Workers run built files: so does what starts them.
const { WorkerSlot } = (await import(new URL('../../dist/pool/worker-slot.js', import.meta.url).href)) as {
  WorkerSlot: typeof SourceSeated;
};
const { losslessWebp } = (await import(
  new URL('../../bench/attacks/worst-images.mjs', import.meta.url).href
)) as { losslessWebp(width: number, height: number): Uint8Array };

/** A task that takes some 10 ms, and one that a limit of 1 ms stops. */
const [task, slow] = [900, 4000].map(
  (side): PoolTask => ({
    call: 'codes',
    image: { width: side, height: side, data: new Uint8Array(side * side * 3) },
    options: {},
  }),
) as [PoolTask, PoolTask];

const budget = new MemoryBudget(2 ** 28);
let seat: { -readonly [Key in keyof Seat]: Seat[Key] };
beforeAll(async () => {
  const bytes = tinyIntegerFile();
  const module = await WebAssembly.compile(
    readFileSync(new URL('../../wasm/fqvit.simd-threads.wasm', import.meta.url)),
  );
  const lane = { index: 0, count: 1 };
  const { memory } = await IntegerRunner.create(readIntegerModel(bytes), module, 1, lane);
  const codecs = await compileCodecs();
  seat = {
    bytes,
    name: 'tiny',
    tier: 'simd',
    module,
    codecs,
    lane: { ...lane, memory },
    imageMemory: budget.limit,
  };
});

const { postMessage } = Worker.prototype;
let posted: jest.SpiedFunction<typeof postMessage>;
beforeEach(() => {
  posted = jest.spyOn(Worker.prototype, 'postMessage');
});
afterEach(() => posted.mockRestore());
/** The threads that were told something since the test began, the newest last. */
const threads = () => [...new Set(posted.mock.contexts as Worker[])];

test('a worker that did not start again starts when it can', async () => {
  const { bytes } = seat;
  const slot = await WorkerSlot.start(seat, budget);
  const codes = await slot.run(task);
  seat.bytes = new Uint8Array(0);
  await threads()[0]!.terminate();
  await expect(slot.run(task)).rejects.toMatchObject({ code: 'CHECKPOINT_TRUNCATED' });
  seat.bytes = bytes;
  await expect(slot.run(task)).rejects.toMatchObject({ code: 'CHECKPOINT_TRUNCATED' });
  expect(await slot.run(task)).toEqual(codes);
  await slot.end();
});

test('a thread that ends by itself fails the image that it is at; the one after it gets another thread', async () => {
  const slot = await WorkerSlot.start(seat, budget);
  const codes = await slot.run(task);
  const [failed, waiting] = [slot.run(task), slot.run(task)];
  threads()[0]!.terminate();
  await expect(failed).rejects.toMatchObject({ name: 'RuntimeError', code: 'POOL' });
  expect(await waiting).toEqual(codes);
  expect(threads()).toHaveLength(2);
  await slot.end();
});

test('an uncaught exception in a thread that has nothing to do replaces it', async () => {
  const slot = await WorkerSlot.start(seat, budget);
  const codes = await slot.run(task);
  const [thread] = threads();
  const ended = new Promise((resolve) => thread!.once('exit', resolve));
  thread!.postMessage(null);
  expect(await ended).toBe(1);
  expect(await slot.run(task)).toEqual(codes);
  await slot.end();
});

test('a limit stops the image, not the thread, and the clock of the image after it starts then', async () => {
  const slot = await WorkerSlot.start(seat, budget);
  const codes = await slot.run(task);
  const stop = new AbortController();
  const late = slot.run(slow, stop, 1);
  const beside = slot.run(task, new AbortController(), 5000);
  await Promise.allSettled([late]);
  expect(stop.signal.reason).toMatchObject({ name: 'RuntimeError', code: 'POOL_LIMIT' });
  expect(await beside).toEqual(codes);
  expect(threads()).toHaveLength(1);
  await slot.end();
});

/** Loses these messages on their way to a thread, as if it were too busy to hear of them. */
function lose(kind: 'stop' | 'end'): void {
  posted.mockImplementation(function (this: Worker, ...operands: Parameters<Worker['postMessage']>) {
    if (!(kind in operands[0])) postMessage.apply(this, operands);
  });
}

test('a thread that does not stop is terminated, and the image after it gets another', async () => {
  lose('stop');
  const slot = await WorkerSlot.start(seat, budget);
  const share = budget.ask(budget.limit, () => {});
  const stop = new AbortController();
  // waits for memory
  const late = slot.run({ ...task, image: losslessWebp(3200, 3200) }, stop, 50);
  const beside = slot.run(task, new AbortController(), 5000);
  await expect(late).rejects.toMatchObject({ code: 'POOL_LIMIT' });
  share.give();
  expect(await beside).toHaveLength(3);
  expect(threads()).toHaveLength(2);
  await slot.end();
});

test('a thread that does not end is terminated', async () => {
  lose('end');
  const slot = await WorkerSlot.start(seat, budget);
  await slot.end();
  expect(threads()[0]!.threadId).toBe(-1);
});

import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { readIntegerModel } from '../../src/checkpoint/integer-model.js';
import { IntegerRunner } from '../../src/models/integer.js';
import { MemoryBudget } from '../../src/platform/memory-budget.js';
import type { Seat, Task } from '../../src/pool/messages.js';
import type { Seated as SourceSeated } from '../../src/pool/seated.js';
import { tinyIntegerFile } from '../support/tiny-integer.js';

// Workers run built files: so does what starts them.
const { Seated } = (await import(new URL('../../dist/pool/seated.js', import.meta.url).href)) as {
  Seated: typeof SourceSeated;
};

const task: Task = {
  call: 'codes',
  image: { width: 2000, height: 2000, data: new Uint8Array(2000 * 2000 * 3) },
  options: {},
};

test('a worker that did not start again starts when it can', async () => {
  const bytes = tinyIntegerFile();
  const module = await WebAssembly.compile(
    readFileSync(new URL('../../wasm/fqvit.simd-threads.wasm', import.meta.url)),
  );
  const lane = { index: 0, count: 1 };
  const { memory } = await IntegerRunner.create(readIntegerModel(bytes), module, 1, lane);
  const budget = new MemoryBudget(2 ** 28);
  const seat = {
    bytes,
    name: 'tiny',
    tier: 'simd' as const,
    module,
    lane: { ...lane, memory },
    imageMemory: budget.limit,
  };
  const changing: { -readonly [Key in keyof Seat]: Seat[Key] } = seat;
  const seated = await Seated.start(changing, budget);
  const codes = await seated.run(task);
  changing.bytes = new Uint8Array(0);
  await expect(seated.run(task, 1)).rejects.toMatchObject({ code: 'POOL_LIMIT' });
  await expect(seated.run(task)).rejects.toMatchObject({ code: 'CHECKPOINT_TRUNCATED' });
  changing.bytes = bytes;
  await expect(seated.run(task)).rejects.toMatchObject({ code: 'CHECKPOINT_TRUNCATED' });
  expect(await seated.run(task)).toEqual(codes);
  await seated.end();
});

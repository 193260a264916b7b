import { setTimeout } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { type PumpOptions, pump } from '../../src/batch/pump.js';

async function* count(end: number): AsyncGenerator<number> {
  for (let i = 0; i < end; i++) yield i;
}

function pumping(items: AsyncIterable<number>, options: Partial<PumpOptions<number, number>>) {
  const found: number[] = [];
  const done = pump(items, {
    work: async (i) => i,
    emit: (i: number) => found.push(i),
    room: () => undefined,
    isOrdered: true,
    atOnce: 5,
    ...options,
  });
  return { found, done };
}

/** Takes longer for some. */
const uneven = async (i: number) => {
  await setTimeout(i % 7 === 0 ? 4 : 1);
  return i;
};

test.each([1, 5, 30])('%d at once: in order, or as they come', async (atOnce) => {
  const expected = Array.from({ length: 100 }, (_, i) => i);
  let running = 0;
  let most = 0;
  const work = async (i: number) => {
    most = Math.max(most, ++running);
    await uneven(i);
    running--;
    return i;
  };
  const ordered = pumping(count(100), { work, atOnce });
  await ordered.done;
  expect(ordered.found).toEqual(expected);
  expect(most).toBe(atOnce);
  const unordered = pumping(count(100), { work, atOnce, isOrdered: false });
  await unordered.done;
  expect([...unordered.found].sort((a, b) => a - b)).toEqual(expected);
  if (atOnce > 1) expect(unordered.found).not.toEqual(expected);
  expect(most).toBe(atOnce);
});

test('no more than 1,000 wait for a slow one before them', async () => {
  let go = () => {};
  const first = new Promise<void>((resolve) => {
    go = resolve;
  });
  let begun = 0;
  const work = async (i: number) => {
    begun++;
    if (i === 0) await first;
    return i;
  };
  const { found, done } = pumping(count(5000), { work });
  await setTimeout(20);
  expect([begun, found.length]).toEqual([1000, 0]);
  go();
  await done;
  expect(found).toHaveLength(5000);
});

test('what is done comes out though the next item does not come', async () => {
  async function* slow() {
    yield* count(3);
    await new Promise(() => {});
  }
  const { found } = pumping(slow(), {});
  await setTimeout(10);
  expect(found).toEqual([0, 1, 2]);
});

test('nothing begins while there is no room', async () => {
  let go = () => {};
  const room = new Promise<void>((resolve) => {
    go = resolve;
  });
  const { found, done } = pumping(count(10), { room: () => room });
  await setTimeout(5);
  expect(found).toEqual([]);
  go();
  await done;
  expect(found).toHaveLength(10);
});

test('a failure of the work, the list or the output ends all at once', async () => {
  async function* stuck() {
    yield* count(4);
    await new Promise(() => {});
  }
  async function* broken() {
    yield* count(4);
    throw new Error('no list');
  }
  const fail = (why: string) => () => {
    throw new Error(why);
  };
  const work = async (i: number) => (i === 2 ? fail('no work')() : i);
  await expect(pumping(stuck(), { work }).done).rejects.toThrow('no work');
  await expect(pumping(broken(), {}).done).rejects.toThrow('no list');
  await expect(pumping(stuck(), { emit: fail('no output') }).done).rejects.toThrow('no output');
  await expect(pumping(stuck(), { room: fail('no room') }).done).rejects.toThrow('no room');
});

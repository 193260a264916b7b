import { expect, test } from '@jest/globals';
import { TURN_WORDS, Turn } from '../../src/runtime/turn.js';

const wordsOf = () => new Int32Array(new SharedArrayBuffer(4 * TURN_WORDS));

test('a lane belongs to the thread that took it last', async () => {
  const words = wordsOf();
  const [first, second] = [new Turn(words, 1), new Turn(words, 2)];
  await Turn.take(words, 1);
  expect(first.run(() => 'codes')).toBe('codes');
  await Turn.take(words, 2);
  expect(() => first.run(() => 'codes')).toThrow('its lane is that of another thread');
  expect(second.run(() => 'codes')).toBe('codes');
});

test('a new owner waits for the running pass', async () => {
  const words = wordsOf();
  await Turn.take(words, 1);
  Atomics.store(words, 1, 1); // as another thread does
  let isTaken = false;
  const taking = Turn.take(words, 2).then(() => {
    isTaken = true;
  });
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(isTaken).toBe(false);
  Atomics.store(words, 1, 0);
  await taking;
});

test('a failed pass frees the lane', async () => {
  const words = wordsOf();
  await Turn.take(words, 1);
  const fails = () => {
    throw new Error('no memory');
  };
  expect(() => new Turn(words, 1).run(fails)).toThrow('no memory');
  await Turn.take(words, 2);
});

test('a replaced thread does not report its successor as done', async () => {
  const words = wordsOf();
  await Turn.take(words, 1);
  await Turn.take(words, 2);
  let taken: Promise<void> | undefined;
  let isTaken = false;
  new Turn(words, 2).run(() => {
    expect(() => new Turn(words, 1).run(() => {})).toThrow('its lane is that of another thread');
    expect(words.filter((word) => word === 1)).toHaveLength(1);
    taken = Turn.take(words, 3).then(() => {
      isTaken = true;
    });
  });
  expect(isTaken).toBe(false);
  await taken;
});

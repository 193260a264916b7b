import { describe, expect, jest, test } from '@jest/globals';
import { UsageError } from '../../src/errors.js';
import { type Pass, Passes } from '../../src/runtime/passes.js';
import { refusal } from '../support/refusal.js';

/** A pass of steps of 30 ms, which notes in `log` what it does. */
function slow(log: string[], name: string, steps: number): () => Pass<string> {
  return function* () {
    log.push(`${name} begins`);
    let isDone = false;
    try {
      for (let step = 0; step < steps; step++) {
        const end = performance.now() + 30;
        while (performance.now() < end);
        yield;
      }
      isDone = true;
      return name;
    } finally {
      log.push(`${name} ${isDone ? 'is done' : 'is left'}`);
    }
  };
}

const soon = () => new Promise((resolve) => setTimeout(resolve, 5));

test('passes follow one another, and timers fire meanwhile', async () => {
  const log: string[] = [];
  const passes = new Passes();
  const timer = setTimeout(() => log.push('timer'), 10);
  const all = Promise.all(['a', 'b'].map((name) => passes.run(slow(log, name, 4))));
  expect(await all).toEqual(['a', 'b']);
  clearTimeout(timer);
  expect(log).toEqual(['a begins', 'timer', 'a is done', 'b begins', 'b is done']);
});

test('an abort ends its running or waiting pass and no other', async () => {
  const log: string[] = [];
  const passes = new Passes();
  const controller = new AbortController();
  const { signal } = controller;
  const running = passes.run(slow(log, 'a', 100), signal).catch((reason: unknown) => reason);
  const waiting = passes.run(slow(log, 'b', 1), signal).catch((reason: unknown) => reason);
  const other = passes.run(slow(log, 'c', 1));
  await soon();
  controller.abort('enough');
  expect(await Promise.all([running, waiting, other])).toEqual(['enough', 'enough', 'c']);
  expect(log).toEqual(['a begins', 'a is left', 'c begins', 'c is done']);
});

test('a pass that waits for a long one hears of its abort at once', async () => {
  const log: string[] = [];
  const passes = new Passes();
  const controller = new AbortController();
  const running = passes.run(slow(log, 'a', 8));
  const waiting = passes.run(slow(log, 'b', 1), controller.signal).catch(() => log.push('b is aborted'));
  await soon();
  controller.abort();
  await waiting;
  await running;
  expect(log).toEqual(['a begins', 'b is aborted', 'a is done']);
});

test('an aborted signal lets no pass begin', async () => {
  const begin = jest.fn(slow([], 'a', 1));
  await expect(new Passes().run(begin, AbortSignal.abort('before'))).rejects.toBe('before');
  expect(begin).not.toHaveBeenCalled();
});

test('a synchronous pass interrupts, and the paused one starts again', async () => {
  const log: string[] = [];
  const passes = new Passes();
  const running = passes.run(slow(log, 'a', 6));
  await soon();
  expect(passes.now(slow(log, 'b', 1))).toBe('b');
  expect(await running).toBe('a');
  expect(log).toEqual(['a begins', 'a is left', 'b begins', 'b is done', 'a begins', 'a is done']);
});

test('an error ends its own pass only, and each slice runs inside the wrapper', async () => {
  let depth = 0;
  const passes = new Passes((run) => {
    depth++;
    try {
      return run();
    } finally {
      depth--;
    }
  });
  const failing = passes.run(function* (): Pass<never> {
    yield;
    throw new Error(`at ${depth}`);
  });
  await expect(failing).rejects.toThrow('at 1');
  expect(await passes.run(slow([], 'a', 3))).toBe('a');
  expect(depth).toBe(0);
});

describe('after the end', () => {
  test('paused, waiting and later passes are refused', async () => {
    const log: string[] = [];
    const passes = new Passes();
    const calls = ['a', 'b'].map((name) => passes.run(slow(log, name, 8)));
    const refusals = calls.map((call) => refusal(call, UsageError, 'DISPOSED'));
    await soon();
    passes.end();
    await Promise.all([...refusals, refusal(passes.run(slow(log, 'c', 1)), UsageError, 'DISPOSED')]);
    expect(log).toEqual(['a begins']);
  });
});

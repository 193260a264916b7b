import { expect, test } from '@jest/globals';
import { availableMemory } from '../../src/platform/available-memory.js';
import { MemoryBudget } from '../../src/platform/memory-budget.js';

test('shares are granted in the order in which they are asked for', () => {
  const budget = new MemoryBudget(10);
  const granted: string[] = [];
  const ask = (name: string, bytes: number) => budget.ask(bytes, () => granted.push(name));
  const a = ask('a', 6);
  const large = ask('large', 10);
  const small = ask('small', 1);
  expect(granted).toEqual(['a']);
  a.give();
  expect(granted).toEqual(['a', 'large']);
  large.give();
  large.give();
  expect(granted).toEqual(['a', 'large', 'small']);
  expect(budget.taken).toBe(1);
  small.give();
  expect(budget.taken).toBe(0);
});

test('whoever does not wait any more lets the next in', async () => {
  const budget = new MemoryBudget(10);
  const leave = await budget.enter(8, undefined);
  const stop = new AbortController();
  const large = budget.enter(10, stop.signal);
  const small = budget.enter(2, undefined);
  stop.abort(new Error('enough'));
  await expect(large).rejects.toThrow('enough');
  const leaveToo = await small;
  expect(budget.taken).toBe(10);
  leave();
  leaveToo();
  expect(budget.taken).toBe(0);
  await expect(budget.enter(1, stop.signal)).rejects.toThrow('enough');
  expect(budget.taken).toBe(0);
});

const MACHINE = availableMemory(() => undefined);

test.each<[string, Record<string, string>, number]>([
  [
    'the least of a group and those around it, version 2',
    {
      '/proc/self/cgroup': '0::/pod/box\n',
      '/sys/fs/cgroup/pod/box/memory.max': 'max\n',
      '/sys/fs/cgroup/pod/memory.max': '1000000\n',
    },
    1e6,
  ],
  [
    'version 1',
    {
      '/proc/self/cgroup': '5:devices:/x\n4:cpu,memory:/docker/abc\n0::/\n',
      '/sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes': '9223372036854771712\n',
      '/sys/fs/cgroup/memory/memory.limit_in_bytes': '2000000\n',
    },
    2e6,
  ],
  ['no limit', { '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/memory.max': 'max\n' }, MACHINE],
])('what a process may use: %s', (_, files, expected) => {
  expect(availableMemory((path) => files[path])).toBe(expected);
});

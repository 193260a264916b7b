import { pathToFileURL } from 'node:url';
import { expect, test } from '@jest/globals';
import { ANSWER, type Measurement } from '../../src/bench/measure.js';
import { commonDigest, inFreshProcess, speedUp, takeTurns } from '../../src/bench/turns.js';
import { CheckpointError, RuntimeError } from '../../src/errors.js';
import { Scratch } from '../cli/support.js';

const scratch = new Scratch();

const measured = (medianMs: number, digests: Measurement['digests'] = ['a', 'a']): Measurement => ({
  firstMs: 1,
  loadMs: 1,
  medianMs,
  minMs: medianMs,
  runs: 1,
  wasmBytes: 1,
  residentBytes: 1,
  digests,
});

test('contenders take turns back and forth', async () => {
  const order: string[] = [];
  const turns = await takeTurns(['a', 'b'], 3, async (name) => measured(order.push(name)));
  expect(order.join('')).toBe('abbaab');
  expect(turns.map(({ rounds }) => rounds.map(({ medianMs }) => medianMs))).toEqual([
    [1, 4, 5],
    [2, 3, 6],
  ]);
});

test('the speed-up is the median of the ratios of each round', () => {
  const turns = (...ms: number[]) => ({ contender: '', rounds: ms.map((one) => measured(one)) });
  // the second round was slow for both
  expect(speedUp(turns(4, 40, 5), turns(2, 10, 2))).toEqual({ median: 2.5, least: 2, greatest: 4 });
});

test('codes that differ are an error that says whose', () => {
  const turns = (contender: string, ...digests: Measurement['digests']) => ({
    contender,
    rounds: [measured(1, digests)],
  });
  expect(commonDigest([turns('simd', 'a', 'a'), turns('scalar', 'a', 'a')], String)).toBe('a');
  const different = [turns('simd', 'a', 'a'), turns('scalar', 'a', 'a'), turns('relaxed', 'a', 'b')];
  const error = new RuntimeError(
    'TIER',
    'codes: expected the same from every tier and number of threads, found a… (simd, scalar, relaxed) and b… (relaxed)',
  );
  expect(() => commonDigest(different, String)).toThrow(error);
});

test.each([
  [
    'an error of the process is thrown',
    `console.log(${JSON.stringify(`${ANSWER}{"error":{"name":"CheckpointError","code":"MODEL_KIND","message":"no"}}`)})`,
    new CheckpointError('MODEL_KIND', 'no'),
  ],
  [
    'a process that fails otherwise is named, with the reason',
    `throw new Error('lost')`,
    new RuntimeError(
      'BENCH',
      `${process.execPath}: expected a measurement from a new process, found exit code 1, Error: lost`,
    ),
  ],
])('%s', async (_, code, expected) => {
  const script = pathToFileURL(scratch.write('child.mjs', code));
  const error = await inFreshProcess(script, {}).catch((reason: unknown) => reason);
  expect(error).toEqual(expected);
  expect(error).toHaveProperty('code', expected.code);
});

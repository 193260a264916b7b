import { spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { Scratch } from '../cli/support.js';

const scratch = new Scratch();
const BUILT = new URL('../../dist/batch/', import.meta.url);

/** Runs a script of built modules, whose heap may have so many MB. */
function runSmall(megabytes: number, script: string): unknown {
  const { stdout, stderr, status } = spawnSync(
    process.execPath,
    [`--max-old-space-size=${megabytes}`, '--input-type=module', '-e', script],
    { encoding: 'utf8', env: { ...process.env, OUT: scratch.at('out'), BUILT: BUILT.href } },
  );
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return JSON.parse(stdout);
}

test('a list of a million lines, 45 MB', () => {
  const script = `
    const { listOf } = await import(process.env.BUILT + 'image-list.js');
    const lines = Buffer.from('a/folder/of/pictures/with/a/long/name/a.jpg\\n'.repeat(100));
    async function* million() { for (let i = 0; i < 10_000; i++) yield lines; }
    let count = 0;
    for await (const _ of listOf('-', million())) count++;
    console.log(count);`;
  expect(runSmall(16, script)).toBe(1_000_000);
});

test('an output of 100,000 lines, 43 MB, begun, cut and gone on with', () => {
  const script = `
    import { renameSync, truncateSync } from 'node:fs';
    const { runBatch } = await import(process.env.BUILT + 'run.js');
    const output = process.env.OUT;
    const task = { fqvit: '', model: '', input: '-', format: 'jsonl', order: 'list', top: 5, maxPixels: 9 };
    async function* images() { for (let i = 0; i < 100_000; i++) yield 'folder/of/pictures/IMG_' + i + '.jpg'; }
    const answer = Array(5).fill({ index: 3, label: 'automobile', probability: 0.12345678901234567 });
    const { claim } = await import(process.env.BUILT + 'unfinished.js');
    const run = async (continues) => {
      const counts = { before: 0, computed: 0 };
      await runBatch({
        task, output, continues, images: images(), classify: async () => answer, classes: 5, meaning: 'softmax', atOnce: 6,
        onStart: ({ images }) => { counts.before = images; },
        onRecord: () => { counts.computed++; },
      });
      return counts;
    };
    const first = await run(claim(output, task, false));
    truncateSync(output, 40_000_000);
    renameSync(output, output + '.cut');
    claim(output, task, false);
    renameSync(output + '.cut', output);
    console.log(JSON.stringify([first, await run(true)]));`;
  const [first, second] = runSmall(20, script) as { before: number; computed: number }[];
  expect(first).toEqual({ before: 0, computed: 100_000 });
  expect(second!.before).toBeGreaterThan(90_000);
  expect(second!.before + second!.computed).toBe(100_000);
  expect(statSync(scratch.at('out')).size).toBeGreaterThan(40_000_000);
});

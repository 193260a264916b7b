import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { expect, test } from '@jest/globals';

const at = (path: string) => new URL(`../../${path}`, import.meta.url).href;

/**
 * Decodes the worst image of each coding in a separate process. Prints the memory computed from
 * each header, and the growth of the resident memory at its peak. The memory of the decoders is
 * capped at the computed number.
 */
const SCRIPT = `
  import { readFileSync, writeFileSync } from 'node:fs';
  import { decodePixels } from '${at('dist/image/decode.js')}';
  import { worstImages } from '${at('bench/attacks/worst-images.mjs')}';
  const bytesOf = (name) => 1024 * Number(new RegExp(name + ':\\\\s*(\\\\d+)').exec(readFileSync('/proc/self/status', 'utf8'))[1]);
  const model = { imageSize: 224, cropPct: 0.875, interpolation: 'bicubic' };
  let needed;
  const gate = { limit: Infinity, enter: async (bytes) => { needed = bytes; return () => {}; } };
  const decode = (bytes) => decodePixels(bytes, model, { gate });
  const small = worstImages(1e4);
  for (const name in small) if (!/^webp lossy|1,000,000/.test(name)) await decode(await small[name]());
  const rows = {};
  const images = worstImages(4.2e6);
  for (const name in images) {
    const bytes = await images[name]();
    // sweeping ends in the background
    for (let i = 0; i < 2; i++) await new Promise((resolve) => setTimeout(() => { gc(); resolve(); }, 10));
    writeFileSync('/proc/self/clear_refs', '5');
    const before = bytesOf('VmRSS');
    needed = 0;
    const pixels = await decode(bytes);
    rows[name] = { needed, grown: bytesOf('VmHWM') - before, pixels: pixels.length };
  }
  console.log(JSON.stringify(rows));`;

const MIB = 2 ** 20;
/** Growth of the program itself: code and small objects. */
const SLACK = 12 * MIB;

const measured = existsSync('/proc/self/clear_refs') ? test : test.skip;

measured('the worst image of each coding takes no more memory than its header says', () => {
  const { stdout, stderr, status } = spawnSync(
    process.execPath,
    ['--expose-gc', '--input-type=module', '-e', SCRIPT],
    { encoding: 'utf8' },
  );
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  const rows = JSON.parse(stdout) as Record<string, { needed: number; grown: number; pixels: number }>;
  expect(Object.keys(rows)).toHaveLength(13);
  for (const [name, { needed, grown, pixels }] of Object.entries(rows)) {
    expect([name, pixels]).toEqual([name, 224 * 224 * 3]);
    expect([name, grown <= Math.max(needed, 16 * MIB) + SLACK]).toEqual([name, true]);
  }
});

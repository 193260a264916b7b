// The image decoders of this package against its former ones (@jsquash: mozjpeg, and libwebp
// 1.1.0), on every JPEG and WebP of a folder.
//   npm run build && npm install --prefix bench/peers
//   node bench/decode.mjs FOLDER [--rounds 5] [--json]
// Both decode each file in turn, from bytes to an RGB array; a file's time is its median.
// ms/Mpx   all files together
// ratio    median over the files of new time / old time
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { sharedCodecs } from '../dist/image/codecs-node.js';
import { readJpegStructure } from '../dist/image/jpeg/structure.js';
import { jpegMemory, webpMemory } from '../dist/image/memory.js';
import { dropAlpha } from '../dist/image/rgb.js';
import { readWebpStructure } from '../dist/image/webp/structure.js';
import { median, option, report } from './support.mjs';

const folder = process.argv[2];
const rounds = Number(option('rounds', 5));
const peers = new URL('./peers/node_modules/@jsquash/', import.meta.url);

async function jsquash(format, name) {
  const { default: factory } = await import(new URL(`${format}/codec/dec/${name}.js`, peers));
  const wasmBinary = readFileSync(new URL(`${format}/codec/dec/${name}.wasm`, peers));
  return factory({ noInitialRun: true, wasmBinary });
}

const FORMATS = {
  JPEG: {
    pattern: /\.jpe?g$/i,
    codec: sharedCodecs.jpeg,
    memoryOf: (bytes, context) => jpegMemory(readJpegStructure(bytes, context)).decoder,
    old: await jsquash('jpeg', 'mozjpeg_dec'),
    args: [false],
  },
  WebP: {
    pattern: /\.webp$/i,
    codec: sharedCodecs.webp,
    memoryOf: (bytes, context) => webpMemory(readWebpStructure(bytes, context), bytes.length),
    old: await jsquash('webp', 'webp_dec'),
    args: [],
  },
};

const rows = [];
for (const [format, { pattern, codec, memoryOf, old, args }] of Object.entries(FORMATS)) {
  const files = readdirSync(folder).filter((name) => pattern.test(name));
  let pixels = 0;
  const total = { old: 0, new: 0 };
  const ratios = [];
  for (const name of files) {
    const bytes = new Uint8Array(readFileSync(join(folder, name)));
    const { width, height } = old.decode(bytes, ...args);
    const memory = memoryOf(bytes, { file: name, maxPixels: 1e9 });
    const times = { old: [], new: [] };
    const run = {
      old: () => dropAlpha(old.decode(bytes, ...args)),
      new: () => {
        const data = new Uint8Array(width * height * 3);
        let at = 0;
        return codec.decode(bytes, width, height, memory, (rows) => {
          data.set(rows, at);
          at += rows.length;
        });
      },
    };
    for (let round = 0; round < rounds; round++)
      for (const which of round % 2 ? ['old', 'new'] : ['new', 'old']) {
        const start = performance.now();
        await run[which]();
        times[which].push(performance.now() - start);
      }
    pixels += width * height;
    for (const which of ['old', 'new']) total[which] += median(times[which]);
    ratios.push(median(times.new) / median(times.old));
  }
  if (files.length === 0) continue;
  rows.push({
    format,
    files: files.length,
    'old ms/Mpx': (total.old / pixels) * 1e6,
    'new ms/Mpx': (total.new / pixels) * 1e6,
    ratio: median(ratios),
    'worst ratio': Math.max(...ratios),
  });
}
report('decoding', { folder, rounds, versions: await versions() }, rows);

async function versions() {
  return { jpeg: await sharedCodecs.jpeg.version(), webp: await sharedCodecs.webp.version() };
}

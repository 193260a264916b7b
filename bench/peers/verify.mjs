// Compares every converted model with fqvit's float path, on the same pixels of some photos:
//   node bench/peers/verify.mjs --models bench/peers/models [--arch deit_tiny] [--images photos/]
//     [--count 32] [--only ort-web-f32,...] [--json]
// `difference` is the largest difference of a logit over all photos, next to the largest float
// logit.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { json, option } from '../support.mjs';
import { PEERS } from './contenders.mjs';
import { readPixels } from './pixels.mjs';

const arch = option('arch', 'deit_tiny');
const folder = option('images');
const models = option('models', 'models');
const only = option('only')?.split(',') ?? Object.keys(PEERS);

const photos = folder ? readdirSync(folder).filter((file) => /\.(jpe?g|png|webp)$/i.test(file)) : [undefined];
const count = Math.min(photos.length, Number(option('count', 32)));
const images = [];
for (let i = 0; i < count; i++) {
  const file = photos.sort()[Math.floor((i * photos.length) / count)];
  images.push(await readPixels(file && join(folder, file)));
}

async function answers(name) {
  const { runtime, file } = PEERS[name];
  const { create } = await import(`./runtimes/${runtime}.mjs`);
  const runner = await create(join(models, `${arch}.${file}`), { threads: 1 });
  const all = [];
  for (const pixels of images) all.push(Float32Array.from(await runner.run(runner.prepare(pixels))));
  return all;
}
const top = (logits) => logits.indexOf(logits.reduce((a, b) => Math.max(a, b)));
const largest = (values) => values.reduce((a, b) => Math.max(a, Math.abs(b)), 0);

const float = await answers('fqvit-float');
const rows = [];
for (const name of only.filter((peer) => peer !== 'fqvit-float')) {
  if (!existsSync(join(models, `${arch}.${PEERS[name].file}`))) {
    console.error(`${name}: no ${arch}.${PEERS[name].file}`);
    continue;
  }
  const logits = await answers(name);
  const same = logits.filter((one, i) => top(one) === top(float[i])).length;
  const difference = largest(logits.map((one, i) => largest(one.map((value, j) => value - float[i][j]))));
  // an integer checkpoint answers with codes, which are compared by their order alone
  rows.push({
    name,
    sameTop1: `${same} of ${images.length}`,
    ...(PEERS[name].runtime === 'fqvit' ? {} : { difference }),
  });
}
if (json)
  console.log(
    JSON.stringify({ arch, images: images.length, largestLogit: largest(float.map(largest)), rows }),
  );
else {
  console.log(
    `${arch}, ${images.length} images; the largest float logit is ${largest(float.map(largest)).toFixed(2)}`,
  );
  console.table(rows.map((row) => ({ ...row, difference: row.difference?.toPrecision(2) })));
}
process.exit(0);

// `node read.mjs FOLDER`: reads the model in the folder as the CLI does, runs it on pixels.bin, prepares the photos, and prints what came out.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = process.argv[2];
const photos = JSON.parse(process.argv[3] ?? '[]');
const dist = join(dirname(fileURLToPath(import.meta.url)), '../../dist');
const load = (path) => import(join(dist, path));

const { FqvitError } = await load('errors.js');

try {
  console.log(JSON.stringify(await read()));
} catch (error) {
  const { name, code, message, stack } = error;
  console.log(JSON.stringify(error instanceof FqvitError ? { refused: { name, code, message } } : { crash: stack }));
}

async function read() {
  const { readFloatSource } = await load('cli/float-source.js');
  const { readFloatModel } = await load('checkpoint/float-model.js');
  const { FloatRunner } = await load('models/float.js');
  const { readPixels } = await load('image/source.js');
  const source = await readFloatSource(folder);
  const model = readFloatModel(source.bytes, { file: source.path, ...source.options });
  const { preprocessing, architecture, warnings } = model;
  for (const { photo, size } of photos) {
    const [width, height] = size;
    const data = new Uint8Array(readFileSync(join(folder, `${photo}.rgb`)));
    writeFileSync(join(folder, `${photo}.found`), await readPixels({ width, height, data }, preprocessing, {}));
  }
  const pixels = join(folder, 'pixels.bin');
  if (!existsSync(pixels)) return { preprocessing, warnings };
  const wasm = readFileSync(join(dist, '../wasm/fqvit.float.wasm'));
  const runner = await FloatRunner.create(model, { wasm });
  // a backbone: what a head would read is what the pass ends in
  let last;
  const keepLast = (_, values) => {
    last = values.slice();
  };
  const bytes = new Uint8Array(readFileSync(pixels));
  const [logits] = runner.run([bytes], architecture.classes > 0 ? undefined : keepLast);
  return { values: [...(architecture.classes > 0 ? logits : last)], preprocessing, architecture, warnings };
}

// Reads the model in a folder as the CLI does, runs it on pixels.bin and prepares the photos. Takes
// `{ folder, photos }` on a line of stdin, and prints the result on a line of stdout.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const load = (path) => import(join(root, 'dist', path));

const { FqvitError } = await load('errors.js');
const { readFloatSource } = await load('cli/float-source.js');
const { readFloatModel } = await load('checkpoint/float-model.js');
const { FloatRunner } = await load('models/float.js');
const { readPixels } = await load('image/source.js');
const wasm = new WebAssembly.Module(readFileSync(join(root, 'wasm/fqvit.float.wasm')));

for await (const line of createInterface({ input: process.stdin })) {
  const { folder, photos } = JSON.parse(line);
  console.log(JSON.stringify(await read(folder, photos).catch(fault)));
}

function fault(error) {
  const { name, code, message, stack } = error;
  return error instanceof FqvitError ? { refused: { name, code, message } } : { crash: stack };
}

async function read(folder, photos) {
  const source = await readFloatSource(folder);
  const model = readFloatModel(source.bytes, { file: source.path, ...source.options });
  const { preprocessing, architecture, warnings } = model;
  for (const { photo, size } of photos) {
    const [width, height] = size;
    const data = new Uint8Array(readFileSync(join(folder, `${photo}.rgb`)));
    writeFileSync(
      join(folder, `${photo}.found`),
      await readPixels({ width, height, data }, preprocessing, {}),
    );
  }
  const pixels = join(folder, 'pixels.bin');
  if (!existsSync(pixels)) return { preprocessing, warnings };
  const runner = await FloatRunner.create(model, { wasm });
  // A backbone: the last stage of the pass gives the features that a head would read.
  let last;
  const keepLast = (_, values) => {
    last = values.slice();
  };
  const bytes = new Uint8Array(readFileSync(pixels));
  const [logits] = runner.run([bytes], architecture.classes > 0 ? undefined : keepLast);
  runner.dispose();
  return { values: [...(architecture.classes > 0 ? logits : last)], preprocessing, architecture, warnings };
}

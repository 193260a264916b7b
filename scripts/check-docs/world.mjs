// What the commands of the docs find around them: photos, models, a hub, a bucket and Redis. All
// servers listen on 127.0.0.1 only.
import { copyFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { register } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

register('../../test/fuzz/typescript.mjs', import.meta.url);
const { FakeHub } = await import('../../test/hub/server.ts');
const { serve } = await import('../../test/support/loopback.ts');
const { RedisServer } = await import('../../test/queue/support.ts');
const { modelFile } = await import('../../test/support/tiny-model.ts');
const { tinyShapes } = await import('../../test/checkpoint/tiny-float.ts');
const { renamed, VIT_RENAMINGS } = await import('../../test/checkpoint/renamed.ts');
const { readSafetensors, writeSafetensors } = await import(
  '../../dist/checkpoint/safetensors/safetensors.js'
);
const { quantize } = await import('../../dist/quantize/index.js');

const at = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const PHOTO = at('examples/chelsea.png');

/** As wide as DeiT-Tiny, with generated weights, and 2 blocks in place of 12: it is quick. */
const SHAPES = tinyShapes({ patchSize: 16, grid: 14, dim: 192, mlpDim: 768, depth: 2, classes: 1000 });
const LABELS = Array.from({ length: 1000 }, (_, n) => ({ 3: 'cat', 5: 'dog' })[n] ?? `class ${n}`);
const FLOAT = modelFile(SHAPES, null, 1);
const { bytes: INTEGER } = await quantize(FLOAT, [PHOTO], { method: 'fq', labels: LABELS });

const CONFIG = {
  model_type: 'vit',
  architectures: ['ViTForImageClassification'],
  image_size: 224,
  patch_size: 16,
  hidden_size: 192,
  intermediate_size: 768,
  num_hidden_layers: 2,
  num_attention_heads: 3,
  id2label: Object.fromEntries(LABELS.entries()),
};
const PROCESSOR = {
  image_processor_type: 'ViTImageProcessor',
  size: { height: 224, width: 224 },
  image_mean: [0.5, 0.5, 0.5],
  image_std: [0.5, 0.5, 0.5],
};
const SAVED = {
  'config.json': Buffer.from(JSON.stringify(CONFIG)),
  'preprocessor_config.json': Buffer.from(JSON.stringify(PROCESSOR)),
  'model.safetensors': writeSafetensors(
    renamed(readSafetensors(FLOAT).tensors.values(), VIT_RENAMINGS['Hugging Face ViT']),
    {},
  ),
};

/** @returns the environment that leads to the servers, and `close` */
export async function startServers() {
  const hub = await FakeHub.start();
  const model = { commit: '0123456789abcdef0123456789abcdef01234567', files: SAVED };
  hub.models['facebook/deit-tiny-patch16-224'] = model;
  hub.models['owner/name'] = { ...model, files: { 'm.safetensors': INTEGER } };
  const bucket = await serve((request, response) => {
    request.resume();
    request.on('end', () => response.end());
  });
  const redis = await RedisServer.start();
  return {
    env: {
      HF_ENDPOINT: hub.url,
      REDIS_URL: redis.url,
      AWS_ENDPOINT_URL: bucket.url,
      AWS_REGION: 'eu-central-1',
      AWS_ACCESS_KEY_ID: 'key',
      AWS_SECRET_ACCESS_KEY: 'secret',
    },
    async close() {
      hub.close();
      bucket.close();
      await redis.remove();
    },
  };
}

/**
 * Puts the files that a command reads into its folder, if they are not there: whatever its words
 * name by one of the names below. What it writes (after -o, --report and >) is left alone.
 *
 * @param page the text of all commands of the page
 */
export function supplyFiles(command, folder, page) {
  const words = command.match(/[^\s'"=@;|()]+/g) ?? [];
  for (const [n, word] of words.entries()) {
    if (/^(-o|--output|--report|>)$/.test(words[n - 1] ?? '')) continue;
    supply(word.replace(/\/+$/, ''), folder, page);
  }
}

function supply(name, folder, page) {
  const path = join(folder, name);
  if (/^[./~]|^-/.test(name) || existsSync(path)) return;
  if (/^photos(\/|$)/.test(name)) supplyPhotos(folder, page);
  else if (/^val(\/|$)/.test(name)) supplyLabelled(folder);
  else if (/^[\w-]+\.(jpe?g|png|webp)$/.test(name)) copyFileSync(PHOTO, path);
  else if (/^(deit_tiny|vit|float)\w*\.safetensors$/.test(name)) writeFileSync(path, FLOAT);
  else if (/^\w+\.safetensors$/.test(name)) {
    // with a reference the model must be made from it; otherwise it shall know what is in the photo
    if (page.includes('--reference')) writeFileSync(path, INTEGER);
    else copyFileSync(at('models/deit_cifar10.safetensors'), path);
  } else if (/^(my-model|finetuned)$/.test(name)) {
    mkdirSync(path);
    for (const [file, bytes] of Object.entries(SAVED)) writeFileSync(join(path, file), bytes);
  } else if (name === 'labels.txt') writeFileSync(path, LABELS.join('\n'));
  else if (name === 'list.txt') {
    supplyPhotos(folder, page);
    writeFileSync(path, 'photos/a.jpg\nphotos/b.jpg\n');
  }
}

function supplyPhotos(folder, page) {
  if (existsSync(join(folder, 'photos'))) return;
  mkdirSync(join(folder, 'photos'));
  const wanted = /--calibration-images[ =](\d+)/.exec(page)?.[1] ?? 8;
  const more = Array.from({ length: wanted - 2 }, (_, n) => `${n}.jpg`);
  for (const name of ['a.jpg', 'b.jpg', ...more]) copyFileSync(PHOTO, join(folder, 'photos', name));
}

/** Both forms that `fqvit eval` reads: a folder per class, and a table. */
function supplyLabelled(folder) {
  const files = ['cat/a.jpg', 'cat/b.jpg', 'dog/a.jpg'];
  for (const name of ['cat', 'dog']) mkdirSync(join(folder, 'val', name), { recursive: true });
  for (const file of files) copyFileSync(PHOTO, join(folder, 'val', file));
  writeFileSync(join(folder, 'val/labels.csv'), 'file,class\ncat/a.jpg,3\ncat/b.jpg,3\ndog/a.jpg,5\n');
}

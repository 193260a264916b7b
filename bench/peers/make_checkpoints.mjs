// Our side of the comparison: NAME.float.safetensors (given, or generated weights), and quantised from it NAME.int8.safetensors and
// those of narrower weights and activations, which the relaxed tier multiplies faster.
//   npm run build && node bench/peers/make_checkpoints.mjs --name deit_tiny --out bench/peers/models
//     [--float deit_tiny_patch16_224.safetensors] [--images photos/] [--calibration-images 256]
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { timmArchitecture } from '../../dist/checkpoint/timm-architectures.js';
import { quantize } from '../../dist/quantize/index.js';
import { floatCheckpoint, noise } from '../generated.mjs';
import { option } from '../support.mjs';
import { ARCHITECTURES, WIDTHS } from './contenders.mjs';

const name = option('name', 'deit_tiny');
const out = option('out', 'models');
const given = option('float');
const folder = option('images');
const arch = ARCHITECTURES[name];
const known = timmArchitecture(arch);

const float = given ? new Uint8Array(readFileSync(given)) : floatCheckpoint(known);
const photos = folder && readdirSync(folder).filter((file) => /\.(jpe?g|png|webp)$/i.test(file));
const images = photos
  ? photos.sort().map((file) => join(folder, file))
  : [noise(known.imageSize), noise(known.imageSize)];
const calibrationImages = Math.min(images.length, Number(option('calibration-images', 256)));
mkdirSync(out, { recursive: true });
write('float', float);
for (const [kind, bits] of Object.entries(WIDTHS)) {
  const { bytes } = await quantize(float, images, { arch, calibrationImages, ...bits });
  write(kind, bytes);
}

function write(kind, bytes) {
  writeFileSync(join(out, `${name}.${kind}.safetensors`), bytes);
  console.log(`${name}.${kind}.safetensors: ${(bytes.length / 1e6).toFixed(1)} MB`);
}

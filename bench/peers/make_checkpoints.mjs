// Our side of the comparison: NAME.float.safetensors (given, or with generated weights), and the
// integer checkpoints made from it: NAME.int8.safetensors, and those of narrower weights and
// activations, which the relaxed tier multiplies faster.
//   npm run build && node bench/peers/make_checkpoints.mjs --name deit_tiny
//     --out bench/peers/models [--only int8,w7] [--float deit_tiny_patch16_224.safetensors]
//     [--images photos/] [--calibration-images 256]
// --only  which integer checkpoints (default: all)
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { timmArchitecture } from '../../dist/architecture/timm-architectures.js';
import { quantize } from '../../dist/quantize/index.js';
import { floatCheckpoint, noisePicture } from '../generated.mjs';
import { list, option } from '../support.mjs';
import { ARCHITECTURES, WIDTHS } from './contenders.mjs';

const name = option('name', 'deit_tiny');
const out = option('out', 'models');
const given = option('float');
const folder = option('images');
const only = list('only', Object.keys(WIDTHS).join());
const unknown = only.filter((kind) => !(kind in WIDTHS));
if (unknown.length > 0) {
  throw new Error(`--only: expected some of ${Object.keys(WIDTHS).join(', ')}, found ${unknown.join(', ')}`);
}
const arch = ARCHITECTURES[name];
const known = timmArchitecture(arch);

const float = given ? new Uint8Array(readFileSync(given)) : floatCheckpoint(known);
const photos = folder && readdirSync(folder).filter((file) => /\.(jpe?g|png|webp)$/i.test(file));
const images = photos
  ? photos.sort().map((file) => join(folder, file))
  : [noisePicture(known.imageSize), noisePicture(known.imageSize)];
const calibrationImages = Math.min(images.length, Number(option('calibration-images', 256)));
mkdirSync(out, { recursive: true });
write('float', float);
for (const kind of only) {
  const { bytes } = await quantize(float, images, { arch, calibrationImages, ...WIDTHS[kind] });
  write(kind, bytes);
}

function write(kind, bytes) {
  writeFileSync(join(out, `${name}.${kind}.safetensors`), bytes);
  console.log(`${name}.${kind}.safetensors: ${(bytes.length / 1e6).toFixed(1)} MB`);
}

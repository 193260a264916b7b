// The one image of every contender: uint8 [224, 224, 3].

const SIZE = 224;
const MEAN = [0.485, 0.456, 0.406];
const STD = [0.229, 0.224, 0.225];

/** Pixels of a photo, or noise that is the same everywhere. */
export async function readPixels(file) {
  if (file === undefined) {
    return new Uint8Array(3 * SIZE ** 2).map((_, i) => Math.imul(i, 2654435761) >>> 24);
  }
  const { readPixels: read } = await import('../../dist/image/source.js');
  return read(file, { imageSize: SIZE, cropPct: 0.875, interpolation: 'bicubic' });
}

/** Normalised for DeiT and Swin: f32 [224, 224, 3]. */
export function channelsLast(pixels) {
  return Float32Array.from(pixels, (value, i) => (value / 255 - MEAN[i % 3]) / STD[i % 3]);
}

/** f32 [3, 224, 224]. */
export function channelsFirst(pixels) {
  const area = SIZE ** 2;
  const rows = channelsLast(pixels);
  return rows.map((_, i) => rows[(i % area) * 3 + Math.floor(i / area)]);
}

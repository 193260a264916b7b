// Every engine computes the codes of the same images with the same models, on each tier that it
// has, and gives one SHA-256 per tier. Nothing here depends on an engine: the caller passes `load`
// and `read`.

const IMAGES = [
  'examples/chelsea.png',
  'test/image/fixtures/420.jpg',
  'test/image/fixtures/lossy.webp',
  'test/image/fixtures/lossless.webp',
];

const ALL = ['scalar', 'simd', 'relaxed'];

/** Files that an engine without a disk needs, as paths in the repository. */
export const MODELS = ['models/deit_cifar10.safetensors', 'models/swin_cifar10.safetensors'];
export const FILES = [...MODELS, ...IMAGES];

/** Noise, RGB and RGBA. */
function noise(width, height, channels) {
  let state = width * height * channels;
  const data = Uint8Array.from({ length: state }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 24;
  });
  return { width, height, data };
}

/**
 * @param load of the package
 * @param read returns the bytes of a file of `FILES` or `models`
 * @param models more models, with weights so narrow that the tiers multiply in different ways
 * @param tiers to try
 * @returns `{ tiers: { simd: { digest, ms } }, cold, chosen, threads }`: `ms` is the median time of
 *   a pass of the DeiT, `cold` the ms from the start of the process or page to the first answer,
 *   `chosen` the tier that `load` picks
 */
export async function digest({ load, read, models = [], tiers = ALL, threads = 1 }) {
  const { tier: chosen, threads: count } = await first({ load, read, threads });
  const cold = performance.now();
  const images = [noise(32, 32, 3), noise(50, 41, 4)];
  for (const path of IMAGES) images.push(await read(path));
  const digests = {};
  for (const tier of tiers) {
    const codes = [];
    let ms;
    for (const path of [...MODELS, ...models]) {
      const model = await load(await read(path), { tier, threads }).catch((error) => {
        // not every engine has every tier
        if (/found one without them$/.test(error.message)) return undefined;
        throw error;
      });
      if (model === undefined) break;
      for (const image of images) codes.push(...(await model.codes(image)));
      ms ??= await median(model);
      model.dispose();
    }
    if (codes.length > 0) digests[tier] = { digest: await sha256(Uint8Array.from(codes)), ms };
  }
  return { tiers: digests, cold, chosen, threads: count };
}

/** One answer of the DeiT. @returns the info of its model */
export async function first({ load, read, threads = 1 }) {
  const model = await load(await read(MODELS[0]), { threads });
  await model.codes(await read(IMAGES[0]));
  model.dispose();
  return model.info;
}

/** The median time of a forward pass, in ms; 0 if the clock stands still while code runs. */
async function median(model) {
  const pixels = noise(model.info.preprocessing.imageSize, model.info.preprocessing.imageSize, 3).data;
  const times = Array.from({ length: 5 }, () => {
    const start = performance.now();
    model.codesOfPixels(pixels);
    return performance.now() - start;
  });
  return times.sort((a, b) => a - b)[2];
}

async function sha256(bytes) {
  const hash = await crypto.subtle.digest('SHA-256', bytes);
  return Array.from(new Uint8Array(hash), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

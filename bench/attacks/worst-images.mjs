// Small files that cost a decoder the most memory, by format and coding. All are valid and have one
// colour.
import { createDeflate, inflateSync } from 'node:zlib';
import { pngFile } from '../png.mjs';

const marker = (code, payload) => Buffer.from([0xff, code, ...be16(payload.length + 2), ...payload]);
const be16 = (value) => [value >> 8, value & 255];
const be32 = (value) => [value >>> 24, (value >> 16) & 255, (value >> 8) & 255, value & 255];

/** Codes of a scan, most significant bit first, filled up with ones. */
class Bits {
  #bytes = [];
  #hold = 0;
  #count = 0;
  put(value, bits) {
    for (let i = bits - 1; i >= 0; i--) {
      this.#hold = (this.#hold << 1) | ((value >> i) & 1);
      if (++this.#count === 8) {
        this.#bytes.push(this.#hold);
        if (this.#hold === 0xff) this.#bytes.push(0);
        this.#hold = this.#count = 0;
      }
    }
  }
  end() {
    while (this.#count > 0) this.put(1, 1);
    return Buffer.from(this.#bytes);
  }
}

/**
 * A grey JPEG whose coefficients are all 0.
 *
 * @param sampling factors of each component
 * @param kind `baseline`; `scans`: baseline with one scan per component; `progressive`: DC, then AC
 *   of each component
 */
export function jpeg(width, height, sampling, kind) {
  const across = Math.max(...sampling.map(([h]) => h));
  const down = Math.max(...sampling.map(([, v]) => v));
  const blocksOf = ([h, v]) => Math.ceil((width * h) / (8 * across)) * Math.ceil((height * v) / (8 * down));
  const units = Math.ceil(width / (8 * across)) * Math.ceil(height / (8 * down));
  const interleaved =
    sampling.length === 1 ? blocksOf(sampling[0]) : units * sampling.reduce((sum, [h, v]) => sum + h * v, 0);
  const ids = sampling.map((_, i) => i + 1);
  const scan = (components, first, last, coded) => [
    marker(0xda, [components.length, ...components.flatMap((id) => [id, 0]), first, last, 0]),
    coded,
  ];
  // DC: the code 0 for no difference; AC: codes of four bits for the end of a block and of 2^1 to
  // 2^14 blocks
  const runs = Array.from({ length: 15 }, (_, i) => i << 4);
  const dc = (blocks) => repeated(blocks, 1);
  const ac = (blocks) => {
    const bits = new Bits();
    for (let left = blocks; left > 0; ) {
      const log = Math.min(14, Math.floor(Math.log2(left)));
      const run = Math.min(left, 2 ** (log + 1) - 1);
      bits.put(log, 4);
      bits.put(run - 2 ** log, log);
      left -= run;
    }
    return bits.end();
  };
  const scans =
    kind === 'progressive'
      ? [
          scan(ids, 0, 0, dc(interleaved)),
          ...ids.map((id, i) => scan([id], 1, 63, ac(blocksOf(sampling[i])))),
        ]
      : kind === 'scans'
        ? ids.map((id, i) => scan([id], 0, 63, repeated(blocksOf(sampling[i]), 5)))
        : [scan(ids, 0, 63, repeated(interleaved, 5))];
  return Buffer.concat([
    Buffer.from([0xff, 0xd8]),
    marker(0xdb, [0, ...Array(64).fill(1)]),
    marker(kind === 'progressive' ? 0xc2 : 0xc0, [
      8,
      ...be16(height),
      ...be16(width),
      sampling.length,
      ...sampling.flatMap(([h, v], i) => [ids[i], (h << 4) | v, 0]),
    ]),
    marker(0xc4, [0x00, 1, ...Array(15).fill(0), 0]),
    marker(0xc4, [0x10, 0, 0, 0, runs.length, ...Array(12).fill(0), ...runs]),
    ...scans.flat(),
    Buffer.from([0xff, 0xd9]),
  ]);
}

/** `codes` codes of zeros, padded with ones. */
function repeated(codes, bits) {
  const count = codes * bits;
  const bytes = Buffer.alloc(Math.ceil(count / 8));
  if (count % 8 > 0) bytes[bytes.length - 1] = (1 << (8 - (count % 8))) - 1;
  return bytes;
}

/** A black PNG. */
export async function png(width, height, colourType, bitDepth, interlaced) {
  const samples = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 }[colourType];
  const passes = interlaced
    ? [
        [0, 0, 8, 8],
        [4, 0, 8, 8],
        [0, 4, 4, 8],
        [2, 0, 4, 4],
        [0, 2, 2, 4],
        [1, 0, 2, 2],
        [0, 1, 1, 2],
      ]
    : [[0, 0, 1, 1]];
  let left = 0;
  for (const [x, y, dx, dy] of passes) {
    const [across, down] = [Math.ceil((width - x) / dx), Math.ceil((height - y) / dy)];
    if (across > 0 && down > 0) left += down * (1 + Math.ceil((across * samples * bitDepth) / 8));
  }
  const zeros = Buffer.alloc(2 ** 20);
  const deflate = createDeflate({ level: 9 });
  const parts = [];
  deflate.on('data', (part) => parts.push(part));
  const ended = new Promise((resolve) => deflate.on('end', resolve));
  for (; left > 0; left -= zeros.length) {
    if (!deflate.write(zeros.subarray(0, Math.min(left, zeros.length)))) {
      await new Promise((resolve) => deflate.once('drain', resolve));
    }
  }
  deflate.end();
  await ended;
  return pngFile(width, height, Buffer.concat(parts), { bitDepth, colourType, interlaced });
}

/** Bits of VP8L, least significant first. */
class LowBits {
  #bytes = [];
  #hold = 0;
  #count = 0;
  put(value, bits) {
    for (let i = 0; i < bits; i++) {
      this.#hold |= ((value >> i) & 1) << this.#count;
      if (++this.#count === 8) {
        this.#bytes.push(this.#hold);
        this.#hold = this.#count = 0;
      }
    }
  }
  end() {
    return Buffer.from([...this.#bytes, this.#hold, 0, 0]);
  }
}

/** Five prefix codes of one symbol each, 0: every pixel takes no bits. */
function emptyCodes(bits) {
  for (let i = 0; i < 5; i++) bits.put(0b0001, 4);
}

/** An image of VP8L without its header, with the transforms that take the most memory. */
function losslessPixels(bits) {
  for (const transform of [0, 1]) {
    // predictor and colour: an image of a pixel for each 4×4
    bits.put(1, 1);
    bits.put(transform, 2);
    bits.put(0, 3);
    bits.put(0, 1);
    emptyCodes(bits);
  }
  bits.put(0, 1);
  bits.put(1, 1); // a colour cache of 2^11
  bits.put(11, 4);
  bits.put(0, 1);
  emptyCodes(bits);
}

const riff = (...chunks) => {
  const body = Buffer.concat([Buffer.from('WEBP'), ...chunks]);
  return Buffer.concat([Buffer.from('RIFF'), Buffer.from(be32(body.length)).reverse(), body]);
};
const riffChunk = (type, payload) =>
  Buffer.concat([
    Buffer.from(type),
    Buffer.from(be32(payload.length)).reverse(),
    payload,
    Buffer.alloc(payload.length & 1),
  ]);

/** Lossless, at most 16,384 pixels a side. */
export function losslessWebp(width, height) {
  const bits = new LowBits();
  bits.put(0x2f, 8);
  bits.put(width - 1, 14);
  bits.put(height - 1, 14);
  bits.put(1, 1);
  bits.put(0, 3);
  losslessPixels(bits);
  return riff(riffChunk('VP8L', bits.end()));
}

/** libwebp's files of grey squares of these sides, quality 0, deflated. */
const VP8 = {
  7056: 'eNrt1DtoUwEAQNEoESJBMDZOQShIsARqOylksQakJa0lJEKXFlwrdRFCHCwlHXSTDBEHLS2lSXmDQwRrIUOwxKFbKJmCWhxcoovg6G90CgS3wpnvdofTSU5tnEpVEpXExK/ff9Ze32i1Nss/Z2dL0WakV7++X430b47Fuuu5y0F4azp/durpzoXypZnk6XQlGy6Oyv+Rzx3c3S3cu9O/n924HRSCN6nitdp8vRt0e8/SL/LSv/TyiwvDpe0PT1wYKu3njlwYKh1nvuX2nl9pL5Qet99ZNDh9XY02Mr3FzdjSp8TIGYsGp1c/rr6PLj94dKv0cGUubtHg9LbTjI/XDr9f/Pi5MWkRpjCFKUxhClMWYQpTmMIUpjCFKUxhClOYwhSmMGURpjCFKUxhClOYwhSmMIUpTGEKUxZhClOYwhSmMIUpTGEKU5jCFKYwZRGmMIUpTGEKU5jCFKYwhSlMYQpTFmEKU5jCFKYwhSlMYQpTmMIUpjBlEaYwhSlMYQpTmMIUpjCFKUxhClMWYQpTmMIUpjCFKUxhClOYwhSmMGURpjCFKUxhClOYwhSmMIUpTGEKUxZhClOYwhSmMIUpTGEKU5jCFKYwZRGmMIUpTGEKU5jCFKYwhSlMYQpTFmEKU5jCFKYwhSlMYQpTmMIUpjBlEaYwhSlMYQpTmMIUpjCFKUxhClMWYQpTmMIUpjCFKUxhClOYwhSmMGURpjCFKUxhClOYwhSmMIUpTGEKUxZhClOYwhSmMIUpTGEKU5jCFKYwZRGmMIUpTGEKU5jCFKYwhSlMYQpTFmEKU5jCFKYwJWEKU5jCFKYwhSmLMIUpTGEKU5hyD1OYwhSmMIUpTFmEKUxhClOYwpR7mMIUpjCFKUxhyiJMYQpTmMIUptzDFKYwhSlMYQpTFmEKU5jCFKYw5R6mMIUpTGEKU5iyCFOYwhSmMIUp9zCFKUxhClOYwpRFmMIUpjCFKUy5hylMYQpTmMIUpizCFKYwhSlMYco9TGEKU5jCFKYwZRGmMIUpTGEKU+5hClOYwhSmMIUpizCFKUxhClOYsghTmMIUpjCFKUxZhClMYQpTmMKURZjCFKYwhSlMYQpTmMIUpjCFKUxZhClMYQpTmMIUpjCFKUxhClOYwpRFmMIUpjCFKUxhClOYwhSmMIUpTFmEKUxhClOYwhSmMIUpTGEKU5jClEWYwhSmMIUpTGEKU5jCFKYwhSlMWYQpTGEKU5jCFKYwhSlMYQpTmMKURZjCFKYwdWJS9XwoFPoLhSMS1A==',
  2016: 'eNozcGSdy6j1gP0Bu/7ff//rN9nv3z+/8Y+3dzn3bo5by8x3TOF45agheKUpQHklywL3IE6HviVCjbIeqkxWE7xYShUolpZuOei37MrKK7emWs0OWh6cFfIq12uu78rglVu1Ss2Wkim13JJKBiFLhYo9saWKQShSOwIuLae6Y6NfxHaJXXryo+vdhxszNKnk3LVf9I5yZxbVuJZX5PiIUMnB136JJ7Vu2WmntHuPmRoXdSIq5HUt90anWzHzBWPvSQuzUiuq9rXeWJir59+x7j1vZxO1Iuu+05uAbdPVj4SXtx2hWkbIX1imEe09+ZH27sNJCdRKXdsv7BbRXXryo+jdhxsNRhPqaEIdTaijCXU0oY4m1NGEOppQRxPqaEIdTaijCXU0oY4m1NGEOppQRxPqaEIdTaijCXU0oY4m1NGEOppQRxPqaEIdTaijCXU0oY4m1NGEOppQRxPqaEIdTaijCXU0oQ62hOrIAAIAaKyX3Q==',
};

/** Lossy: a square with a side from `VP8`; `alpha` adds a lossless plane. */
export function lossyWebp(side, alpha) {
  const pixels = inflateSync(Buffer.from(VP8[side], 'base64'));
  if (!alpha) return riff(riffChunk('VP8 ', pixels));
  const bits = new LowBits();
  losslessPixels(bits);
  const size = [(side - 1) & 255, (side - 1) >> 8, 0];
  return riff(
    riffChunk('VP8X', Buffer.from([0x10, 0, 0, 0, ...size, ...size])),
    riffChunk('ALPH', Buffer.concat([Buffer.from([1]), bits.end()])),
    riffChunk('VP8 ', pixels),
  );
}

const C444 = [
  [1, 1],
  [1, 1],
  [1, 1],
];
const C420 = [
  [2, 2],
  [1, 1],
  [1, 1],
];

/** The worst of each format and coding, with about `pixels`; lossy WebP has 4 or 50 million. */
export function worstImages(pixels = 49.9e6) {
  const side = Math.floor(Math.sqrt(pixels));
  const lossySide = side < 7056 ? 2016 : 7056;
  return {
    'jpeg baseline 4:4:4': () => jpeg(side, side, C444, 'baseline'),
    'jpeg baseline 4:4:4, scans': () => jpeg(side, side, C444, 'scans'),
    'jpeg progressive 4:4:4': () => jpeg(side, side, C444, 'progressive'),
    'jpeg progressive 4:2:0': () => jpeg(side, side, C420, 'progressive'),
    'jpeg progressive grey': () => jpeg(side, side, [[1, 1]], 'progressive'),
    'png RGBA, 8 bits': () => png(side, side, 6, 8, false),
    'png RGBA, 16 bits, interlaced': () => png(side, side, 6, 16, true),
    'png palette': () => png(side, side, 3, 8, false),
    'png 1,000,000×49': () => png(1e6, Math.floor(pixels / 1e6), 6, 16, false),
    'png 49×1,000,000': () => png(Math.floor(pixels / 1e6), 1e6, 6, 16, false),
    'webp lossless': () => losslessWebp(side, side),
    'webp lossy': () => lossyWebp(lossySide, false),
    'webp lossy, alpha': () => lossyWebp(lossySide, true),
  };
}

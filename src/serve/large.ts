/** Pixels of an image that takes some tenths of a second to decode. */
const LARGE_PIXELS = 25e6;

/** A progressive JPEG is decoded in several passes. */
const PROGRESSIVE = 8;

/** Segments before the frame of a JPEG; with more, it counts as large. */
const MAX_SEGMENTS = 1000;

/**
 * Whether an image, judging by its header, occupies a worker so long that others need another one.
 */
export function isLarge(bytes: Uint8Array): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (bytes.length < 30) return false;
  const pixels = jpegPixels(view) ?? pngPixels(view) ?? webpPixels(view) ?? 0;
  return pixels > LARGE_PIXELS;
}

function jpegPixels(view: DataView): number | undefined {
  if (view.getUint16(0) !== 0xffd8) return undefined;
  let at = 2;
  for (let i = 0; i < MAX_SEGMENTS; i++) {
    if (at + 9 > view.byteLength || view.getUint8(at) !== 0xff) return 0;
    const marker = view.getUint8(at + 1);
    if (marker >= 0xc0 && marker <= 0xc2) {
      const pixels = view.getUint16(at + 5) * view.getUint16(at + 7);
      return marker === 0xc2 ? PROGRESSIVE * pixels : pixels;
    }
    at += marker === 0xff ? 1 : 2 + view.getUint16(at + 2);
  }
  return Number.POSITIVE_INFINITY;
}

function pngPixels(view: DataView): number | undefined {
  if (view.getUint32(0) !== 0x89504e47) return undefined;
  return view.getUint32(16) * view.getUint32(20);
}

function webpPixels(view: DataView): number | undefined {
  if (view.getUint32(0) !== 0x52494646 || view.getUint32(8) !== 0x57454250) return undefined;
  switch (view.getUint32(12)) {
    case 0x56503858: {
      // VP8X: 24 bits per side, minus one
      const side = (at: number) => view.getUint16(at, true) + view.getUint8(at + 2) * 2 ** 16 + 1;
      return side(24) * side(27);
    }
    case 0x5650384c: {
      // VP8L: 14 bits per side, minus one
      const bits = view.getUint32(21, true);
      return ((bits & 0x3fff) + 1) * (((bits >>> 14) & 0x3fff) + 1);
    }
    default:
      return (view.getUint16(26, true) & 0x3fff) * (view.getUint16(28, true) & 0x3fff);
  }
}

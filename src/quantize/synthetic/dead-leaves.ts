import type { Rgb } from '../../image/types.js';
import { Dice } from './dice.js';
import { FARTHEST, type Leaf, type LeafKinds, randomColour, randomLeaf } from './leaf.js';
import { noiseTexture, TEXTURE } from './texture.js';

/** Leaves of a picture; they cover all but a few percent of it. */
const MOST_LEAVES = 2500;
const TEXTURES = 3;

/**
 * @param size of each side, in pixels
 * @param mean of the model's training pixels, 0..1: the centre of the colours
 * @param seed 0..2^32 - 1; the same seed gives the same bytes on every engine
 * @returns uint8 `[size, size, 3]`
 */
export function deadLeaves(size: number, mean: Rgb, seed: number): Uint8Array {
  const dice = new Dice(seed);
  // the coarseness of pictures varies by a factor of 16: with a fixed one, the divergence of `best`
  // is a third larger
  const smallest = size * 0.015 * (1 << dice.below(4)) * dice.between(1, 2);
  const largest = Math.max(1.5 * smallest, size * dice.between(0.3, 1.2));
  const isSoft = dice.chance(0.7);
  const textures = Array.from({ length: TEXTURES }, () => noiseTexture(dice));
  const kinds: LeafKinds = { size, smallest, largest, mean, textures };
  const picture = new Picture(size, randomColour(dice, mean));
  for (let i = 0; i < MOST_LEAVES && picture.bare > 0; i++) picture.putBehind(randomLeaf(dice, kinds));
  return isSoft ? softened(picture.pixels, size) : picture.pixels;
}

class Picture {
  /** Uint8 `[size, size, 3]`. */
  readonly pixels: Uint8Array;
  /** Pixels that no leaf covers yet. */
  bare: number;
  readonly #covered: Uint8Array;

  constructor(
    readonly size: number,
    ground: Rgb,
  ) {
    this.pixels = new Uint8Array(size ** 2 * 3);
    for (let i = 0; i < this.pixels.length; i++) this.pixels[i] = byte(ground[i % 3]!);
    this.bare = size ** 2;
    this.#covered = new Uint8Array(size ** 2);
  }

  /**
   * Paints the visible part of a leaf behind all earlier ones: from front to back, no pixel is
   * painted twice.
   */
  putBehind(leaf: Leaf): void {
    const { size, pixels } = this;
    const { x, y, radius, aspect, covers } = leaf;
    const reach = FARTHEST * radius;
    const [dx, dy] = leaf.direction;
    const from = (middle: number) => Math.max(0, Math.floor(middle - reach));
    const to = (middle: number) => Math.min(size - 1, Math.ceil(middle + reach));
    for (let row = from(y); row <= to(y); row++) {
      for (let column = from(x); column <= to(x); column++) {
        const at = row * size + column;
        if (this.#covered[at]) continue;
        const right = column - x;
        const down = row - y;
        const along = (right * dx + down * dy) / radius;
        const across = (down * dx - right * dy) / (radius * aspect);
        if (!covers(along, across)) continue;
        this.#covered[at] = 1;
        this.bare--;
        paint(pixels, at, leaf.material, along, row, column);
      }
    }
  }
}

function paint(
  pixels: Uint8Array,
  at: number,
  { colours: [from, to], texture, textureAt, relief, stripes }: Leaf['material'],
  along: number,
  row: number,
  column: number,
): void {
  const share = (along + 1) / 2;
  const grain = texture[((row + textureAt[0]) % TEXTURE) * TEXTURE + ((column + textureAt[1]) % TEXTURE)]!;
  const stripe = stripes * along;
  const stripeShade = stripes === 0 ? 0 : stripe - Math.floor(stripe) < 0.5 ? 0.08 : -0.08;
  for (let c = 0; c < 3; c++) {
    const colour = from[c]! + (to[c]! - from[c]!) * share;
    pixels[3 * at + c] = byte(colour + grain * relief[c]! + stripeShade);
  }
}

function byte(value: number): number {
  return Math.min(Math.max(Math.round(255 * value), 0), 255);
}

/**
 * Blurs like a lens: each pixel becomes the weighted mean of itself and its neighbours,
 * (1 2 1) ⊗ (1 2 1) / 16, with the edges repeated.
 */
function softened(pixels: Uint8Array, size: number): Uint8Array {
  const soft = new Uint8Array(pixels.length);
  const inside = (i: number) => Math.min(Math.max(i, 0), size - 1);
  for (let row = 0; row < size; row++) {
    const rows = [inside(row - 1), row, inside(row + 1)].map((r) => 3 * r * size) as [number, number, number];
    for (let column = 0; column < size; column++) {
      const left = 3 * inside(column - 1);
      const right = 3 * inside(column + 1);
      for (let c = 0; c < 3; c++) {
        const across = (r: number) =>
          pixels[r + left + c]! + 2 * pixels[r + 3 * column + c]! + pixels[r + right + c]!;
        const sum = across(rows[0]) + 2 * across(rows[1]) + across(rows[2]);
        soft[rows[1] + 3 * column + c] = (sum + 8) >> 4;
      }
    }
  }
  return soft;
}

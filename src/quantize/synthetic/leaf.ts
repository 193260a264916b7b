import type { Rgb } from '../../image/types.js';
import type { Dice } from './dice.js';
import { TEXTURE } from './texture.js';

/**
 * A flat shape of one material: an ellipse, a rectangle, a triangle, or a blend of ellipse and
 * rectangle.
 */
export interface Leaf {
  /** Centre, in pixels. */
  readonly x: number;
  readonly y: number;
  /** Half of the longer axis, in pixels. */
  readonly radius: number;
  /** @param along, across distances from the centre, in half axes */
  readonly covers: (along: number, across: number) => boolean;
  /** Direction of the longer axis. */
  readonly direction: readonly [number, number];
  /** Half of the shorter axis over half of the longer one. */
  readonly aspect: number;
  readonly material: Material;
}

export interface Material {
  /** At both ends of the longer axis, 0..1. */
  readonly colours: readonly [Rgb, Rgb];
  readonly texture: Float32Array;
  readonly textureAt: readonly [number, number];
  /** How strong the texture is in each channel. */
  readonly relief: Rgb;
  /** Dark and light stripes along the longer axis, over half of it; 0 for none. */
  readonly stripes: number;
}

/** What the leaves of a picture share. */
export interface LeafKinds {
  /** Side of the picture, in pixels. */
  readonly size: number;
  readonly smallest: number;
  readonly largest: number;
  /** The centre of the colours, 0..1. */
  readonly mean: Rgb;
  readonly textures: readonly Float32Array[];
}

const SHAPES: readonly Leaf['covers'][] = [
  (p, q) => p * p + q * q < 1,
  (p, q) => Math.abs(p) < 0.9 && Math.abs(q) < 0.9,
  (p, q) => q > -0.7 && q < 1.2 && Math.abs(p) < 0.6 * (1.2 - q),
  (p, q) => p * p * p * p + q * q * q * q < 1,
];
/**
 * The greatest distance of a leaf's points from its centre along a side, in radii: a triangle's.
 */
export const FARTHEST = 1.5;

export function randomLeaf(dice: Dice, kinds: LeafKinds): Leaf {
  const { size, smallest, largest } = kinds;
  // density r^-3: like photos, pictures look alike at every magnification
  const radius = 1 / Math.sqrt(dice.between(1 / largest ** 2, 1 / smallest ** 2));
  return {
    x: dice.between(0, size),
    y: dice.between(0, size),
    radius,
    covers: SHAPES[dice.below(SHAPES.length)]!,
    direction: randomDirection(dice),
    aspect: dice.between(0.4, 1),
    material: randomMaterial(dice, kinds),
  };
}

/** A uniform direction, without a sine. */
function randomDirection(dice: Dice): [number, number] {
  for (;;) {
    const x = dice.between(-1, 1);
    const y = dice.between(-1, 1);
    const length = Math.sqrt(x * x + y * y);
    if (length > 0.1 && length < 1) return [x / length, y / length];
  }
}

function randomMaterial(dice: Dice, { mean, textures }: LeafKinds): Material {
  const from = randomColour(dice, mean);
  const to = randomColour(dice, mean);
  const shade = dice.between(0, 0.6);
  const strength = 0.25 * dice.between(0, 1) * dice.between(0, 1);
  const relief = () => strength * dice.between(0.7, 1.3);
  return {
    colours: [from, from.map((value, c) => value + (to[c]! - value) * shade) as unknown as Rgb],
    texture: textures[dice.below(textures.length)]!,
    textureAt: [dice.below(TEXTURE), dice.below(TEXTURE)],
    relief: [relief(), relief(), relief()],
    stripes: dice.chance(0.25) ? dice.between(2, 10) : 0,
  };
}

/** Varies mostly in brightness, little in hue. */
export function randomColour(dice: Dice, [red, green, blue]: Rgb): Rgb {
  const light = dice.between(-0.42, 0.42);
  const warm = 0.09 * dice.normal();
  const yellow = 0.09 * dice.normal();
  return [
    red + light + warm + 0.5 * yellow,
    green + light - 0.4 * warm + 0.3 * yellow,
    blue + light - yellow,
  ];
}

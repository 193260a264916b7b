/** Integer checkpoints small enough to be made in a test, and ways to change one thing in them. */

import { createHash } from 'node:crypto';
import { type FloatModel, readFloatModel } from '../../src/checkpoint/float/model.js';
import type { Recipe } from '../../src/checkpoint/integer/description.js';
import { DIGEST_KEY, NO_DIGEST } from '../../src/checkpoint/integer/digest.js';
import { type IntegerModel, writeIntegerModel } from '../../src/checkpoint/integer/model.js';
import {
  readSafetensors,
  type Tensor,
  writeSafetensors,
} from '../../src/checkpoint/safetensors/safetensors.js';
import { networkOf } from '../../src/networks/index.js';
import { shapesOf } from '../../src/networks/network.js';
import { integerize } from '../../src/quantize/integerize.js';
import type { Quantizer } from '../../src/quantize/observers.js';
import type { TinySizes } from '../checkpoint/tiny-float.js';
import type { TinySwinSizes } from '../checkpoint/tiny-swin.js';
import { tinyModel, tinySwinModel } from './tiny-model.js';

export interface TinyOptions extends Partial<TinySizes> {
  family?: 'deit' | 'vit';
  heads?: number;
  seed?: number;
  /** Merged into the float checkpoint's config. */
  config?: object;
}

/** The file of a tiny float model; patches of 4×4 unless told otherwise. */
export function tinyFloatFile(options: TinyOptions = {}): Uint8Array {
  const { family = 'deit', heads = 2, seed = 1, config, ...sizes } = options;
  return tinyModel({ architecture: family, num_heads: heads, ...config }, { seed, patchSize: 4, ...sizes });
}

export function tinyFloat(options: TinyOptions = {}): FloatModel {
  return readFloatModel(tinyFloatFile(options));
}

export interface TinySwinOptions extends Partial<TinySwinSizes> {
  seed?: number;
}

/** The file of a tiny float Swin, of the sizes of `TINY_SWIN` unless told otherwise. */
export function tinySwinFile(options: TinySwinOptions = {}): Uint8Array {
  return tinySwinModel(undefined, options);
}

export function tinySwin(options: TinySwinOptions = {}): FloatModel {
  return readFloatModel(tinySwinFile(options));
}

export const RECIPE: Recipe = {
  method: 'fq',
  observer: 'minmax',
  ptf: true,
  attention: 'log2',
  weightBits: 8,
  activationBits: 8,
  calibrationImages: 1,
  seed: null,
  sourceSha256: '0'.repeat(64),
};

/** A recipe as `best` makes it. */
export const EIGHTHS: Recipe = { ...RECIPE, method: 'best', observer: 'search', attention: 'eighths' };

export const UNIFORM: Recipe = { ...RECIPE, method: 'minmax', ptf: false, attention: 'uniform' };

/** Quantisers as a calibration could find them, without running one. */
export function tinyQuantizers(model: FloatModel, recipe: Recipe): Map<string, Quantizer> {
  const network = networkOf(model.architecture, true);
  const shapes = shapesOf(network, ({ name }, message) => {
    throw new Error(`${name}: ${message}`);
  });
  return new Map(
    network.layers.map(({ kind, name, factors }) => {
      const isStream = recipe.ptf && factors !== undefined;
      const { columns } = shapes.get(name)!;
      return [
        name,
        {
          scale: kind === 'softmax' ? 1 / 255 : isStream ? 0.006 : 0.04,
          zeroPoint: kind === 'softmax' ? 0 : kind === 'gelu' ? 4 : 120,
          ...(isStream ? { factors: Uint8Array.from({ length: columns }, (_, c) => c % 4) } : {}),
        },
      ];
    }),
  );
}

export function tinyInteger(options: TinyOptions = {}, recipe: Recipe = RECIPE): IntegerModel {
  const float = tinyFloat(options);
  return integerize(float, tinyQuantizers(float, recipe), recipe);
}

/** Like `tinyInteger`, but a Swin. */
export function tinySwinInteger(options: TinySwinOptions = {}, recipe: Recipe = RECIPE): IntegerModel {
  const float = tinySwin(options);
  return integerize(float, tinyQuantizers(float, recipe), recipe);
}

export function tinySwinIntegerFile(options?: TinySwinOptions, recipe?: Recipe): Uint8Array {
  return sealed(writeIntegerModel(tinySwinInteger(options, recipe)));
}

export function tinyIntegerFile(options?: TinyOptions, recipe?: Recipe): Uint8Array {
  return sealed(writeIntegerModel(tinyInteger(options, recipe)));
}

/** The file with its digest, in place. */
export function sealed(file: Uint8Array): Uint8Array {
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.byteLength);
  bytes.write(
    createHash('sha256').update(bytes).digest('hex'),
    bytes.indexOf(`"${NO_DIGEST}"`) + 1,
    'latin1',
  );
  return file;
}

/** JSON that tests change. */
// biome-ignore lint/suspicious/noExplicitAny: a file may hold anything
export type Json = any;

/** The file with another description: `change` makes its text from the old one. */
export function withDescriptionText(file: Uint8Array, change: (text: string) => string): Uint8Array {
  const { tensors, metadata } = readSafetensors(file);
  const changed = { ...metadata, fqvit: change(metadata.fqvit!), [DIGEST_KEY]: NO_DIGEST };
  return sealed(writeSafetensors(tensors.values(), changed));
}

/** The file after `change` edited the parsed description. */
export function withDescription(file: Uint8Array, change: (json: Json) => void): Uint8Array {
  return withDescriptionText(file, (text) => {
    const json = JSON.parse(text);
    change(json);
    return JSON.stringify(json);
  });
}

/** The file with another value at one place of the description; `undefined` removes the key. */
export function withValue(file: Uint8Array, path: readonly string[], value: unknown): Uint8Array {
  return withDescription(file, (json) => {
    const owner = path.slice(0, -1).reduce((object, key) => object[key], json);
    owner[path.at(-1)!] = value;
  });
}

/** The file after `change` edited a layer, by its name. */
export function withLayer(file: Uint8Array, name: string, change: (layer: Json) => void): Uint8Array {
  return withDescription(file, (json) => {
    const layer = json.layers.find((one: Json) => one.name === name);
    if (layer === undefined) throw new Error(`expected a layer ${name}`);
    change(layer);
  });
}

/**
 * The file with other tensors: `change` may delete, replace or add some. Data are copies, aligned
 * to 8.
 */
export function withTensors(
  file: Uint8Array,
  change: (tensors: Map<string, Tensor & { data: Uint8Array<ArrayBuffer> }>) => void,
): Uint8Array {
  const { tensors, metadata } = readSafetensors(file);
  const copies = new Map([...tensors].map(([name, t]) => [name, { ...t, data: new Uint8Array(t.data) }]));
  change(copies);
  return sealed(writeSafetensors(copies.values(), { ...metadata, [DIGEST_KEY]: NO_DIGEST }));
}

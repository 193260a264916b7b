import { readFileSync } from 'node:fs';
import type { FloatModel } from '../checkpoint/float-model.js';
import { load } from '../index.js';
import { FloatRunner } from '../models/float.js';
import type { Tier } from '../runtime/kernels.js';
import { generatedModel, noise } from './generated.js';
import type { Loaded } from './measure.js';

/** An integer checkpoint on a tier. */
export interface IntegerContender {
  readonly kind: 'integer';
  readonly file: string;
  readonly tier: Tier;
  readonly threads: number;
}

/** Loads it; `run` computes images one after the other, each shared by the threads. */
export async function openInteger({ file, tier, threads }: IntegerContender): Promise<Loaded> {
  const model = await load(file, { tier, threads });
  const { data } = noise(model.info.preprocessing.imageSize);
  const pixels = new Uint8Array(data);
  const { classes } = model.info.architecture;
  const once = () => (classes > 0 ? model.codesOfPixels(pixels) : model.featuresOfPixels(pixels));
  return { wasmBytes: model.info.memoryBytes, run: (images) => repeated(images, once) };
}

/** Loads a float model, which runs on one thread. */
export async function openFloat(model: FloatModel): Promise<Loaded> {
  const wasm = readFileSync(new URL('../../wasm/fqvit.float.wasm', import.meta.url));
  const runner = await FloatRunner.create(model, { wasm });
  const pixels = new Uint8Array(noise(model.architecture.imageSize).data);
  return {
    wasmBytes: runner.memoryBytes,
    run: (images) => repeated(images, () => runner.run([pixels])[0]!),
  };
}

/** The float model of an integer checkpoint's architecture, with generated weights. */
export async function floatOfInteger(file: string): Promise<FloatModel> {
  const { readIntegerModel } = await import('../checkpoint/integer-model.js');
  const { architecture, preprocessing } = readIntegerModel(new Uint8Array(readFileSync(file)), { file });
  return generatedModel(architecture, preprocessing);
}

function repeated<T>(count: number, once: () => T): T {
  for (let i = 1; i < count; i++) once();
  return once();
}

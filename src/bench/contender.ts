import { readFileSync } from 'node:fs';
import { FloatRunner } from '../forward/float/runner.js';
import { load } from '../index.js';
import type { Tier } from '../runtime/kernels.js';
import { readWasm } from '../runtime/wasm-node.js';
import { readFloatFile } from './float-file.js';
import { noise } from './generated.js';
import type { Loaded } from './measure.js';

/** An integer checkpoint on a tier. */
export interface IntegerContender {
  readonly kind: 'integer';
  readonly file: string;
  readonly tier: Tier;
  readonly threads: number;
}

/** A float model, which runs on one thread. */
export interface FloatContender {
  readonly kind: 'float';
  /** As `writeFloatFile` makes it. */
  readonly file: string;
}

export type Contender = IntegerContender | FloatContender;

/** Loads a contender; `run` computes images one after the other. */
export function openContender(contender: Contender): Promise<Loaded> {
  return contender.kind === 'integer' ? openInteger(contender) : openFloat(contender);
}

async function openInteger({ file, tier, threads }: IntegerContender): Promise<Loaded> {
  const model = await load(file, { tier, threads });
  const pixels = noise(model.info.preprocessing.imageSize);
  const { classes } = model.info.architecture;
  const once = () => (classes > 0 ? model.codesOfPixels(pixels) : model.featuresOfPixels(pixels));
  return { wasmBytes: model.info.memoryBytes, run: (images) => repeated(images, once) };
}

async function openFloat({ file }: FloatContender): Promise<Loaded> {
  const model = readFloatFile(readFileSync(file));
  const runner = await FloatRunner.create(model, { wasm: await readWasm('float') });
  const pixels = noise(model.architecture.imageSize);
  return {
    wasmBytes: runner.memoryBytes,
    run: (images) => repeated(images, () => runner.run([pixels])[0]!),
  };
}

function repeated<T>(count: number, once: () => T): T {
  for (let i = 1; i < count; i++) once();
  return once();
}

/**
 * Chooses ranges by their effect on the model, not on the tensor: each quantiser inside a block
 * takes the candidate that gives the block's output the least error. Minimising the tensor's own
 * error would clip rare large values, which matter most.
 */

import type { FloatRunner, ObserveTensor } from '../forward/float/runner.js';
import { CLASS_SHARE } from '../layers/linear/moments.js';
import { blockOutputs, type Network } from '../networks/network.js';
import { yieldToEvents } from '../platform/yield-to-events.js';
import type { Quantizer } from './observers.js';

export interface BlockSearchOptions {
  /** The highest code of a quantiser. */
  highest: (name: string) => number;
  /** Called after every run of the model over the images. */
  onRun?: () => void;
  /** Cancels, also in the middle of a run. */
  signal?: AbortSignal | undefined;
}

/** Runs of the model that `searchBlocks` needs. */
export function searchRuns(candidates: number, network: Network): number {
  return 1 + candidates * placesOf(network).size;
}

/** The searched layers, by their place in a block. */
function placesOf({ layers }: Network): Map<string, Set<string>> {
  const places = new Map<string, Set<string>>();
  for (const { name, search } of layers) {
    if (search !== undefined) places.set(search, (places.get(search) ?? new Set()).add(name));
  }
  return places;
}

/**
 * Chooses for every tensor inside a block the quantiser with the least squared error at the block's
 * output; the first one of equals. One run covers all blocks: each starts from its float input.
 *
 * @param images one batch for `FloatRunner.run`
 * @param candidates maps by the name of the quantiser, all with the same names
 * @returns the first candidate, with better quantisers where the search found any
 */
export async function searchBlocks(
  runner: FloatRunner,
  images: readonly Uint8Array[],
  candidates: readonly ReadonlyMap<string, Quantizer>[],
  { highest, onRun, signal }: BlockSearchOptions,
): Promise<Map<string, Quantizer>> {
  const { kernels } = runner.workspace;
  const { network } = runner;
  const expected = new Map<string, Float32Array>();
  const blocks = blockOutputs(network);
  const ends = new Map([...blocks].map(([block, output]) => [output, block]));
  const blockOf = new Map(network.layers.map(({ name, block }) => [name, block]));
  const run = async (observe: ObserveTensor) => {
    await runner.runInSlices(images, { observe, signal });
    onRun?.();
    await yieldToEvents();
  };
  await run((name, values) => {
    if (ends.has(name)) expected.set(name, values.slice());
  });

  const found = new Map(candidates[0]);
  for (const names of placesOf(network).values()) {
    const inBlock = new Map([...names].map((name) => [blockOf.get(name), name]));
    const least = new Map<string, number>();
    for (const candidate of candidates) {
      await run((name, values, shape, address) => {
        if (names.has(name)) {
          const { scale, zeroPoint } = candidate.get(name)!;
          kernels.quantize(address, values.length, scale, zeroPoint, highest(name));
        }
        const block = ends.get(name);
        if (block === undefined) return;
        const error = outputError(values, expected.get(name)!, shape, network.pooled);
        values.set(expected.get(name)!);
        const searched = inBlock.get(block);
        if (searched === undefined || error >= (least.get(block) ?? Number.POSITIVE_INFINITY)) return;
        least.set(block, error);
        found.set(searched, candidate.get(searched)!);
      });
    }
  }
  return found;
}

/**
 * Σ (a - b)² over tokens. The first `pooled` tokens, which alone reach the logits, have the same
 * weight as in error feedback.
 */
function outputError(a: Float32Array, b: Float32Array, shape: readonly number[], pooled: number): number {
  const [tokens, channels] = shape.slice(-2) as [number, number];
  let all = 0;
  let classes = 0;
  for (let row = 0; row * channels < a.length; row++) {
    let sum = 0;
    for (let i = row * channels; i < (row + 1) * channels; i++) {
      const difference = a[i]! - b[i]!;
      sum += difference * difference;
    }
    all += sum;
    if (row % tokens < pooled) classes += sum;
  }
  if (pooled === 0) return all;
  const weight = (CLASS_SHARE / (1 - CLASS_SHARE)) * (tokens / pooled - 1);
  return all - classes + weight * classes;
}

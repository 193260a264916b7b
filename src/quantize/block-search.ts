/**
 * Ranges by what they do to the model, not to the tensor: each quantiser inside a block takes, of
 * several candidates, the one with which the block's output errs least. The squared error of the
 * tensor itself would clip its rare large values, which carry most.
 */

import { type Family, pooledTokens } from '../checkpoint/architecture.js';
import type { FloatRunner, ObserveTensor } from '../models/float.js';
import { breathe } from '../platform/breathe.js';
import { CLASS_SHARE } from './moments.js';
import type { Quantizer } from './observers.js';

/**
 * Tensors inside a block whose range is searched. Behind them are the additions, whose channels
 * have scales of their own.
 */
const SEARCHED =
  /^(.*blocks\.\d+)\.(norm1\.out|attn\.qkv\.out|attn\.qk|attn\.scores|attn\.context|norm2\.out|mlp\.gelu\.out)$/;
const OUTPUT = /^(.*blocks\.\d+)\.residual2\.out$/;

export interface BlockSearchOptions {
  /** The highest code behind a quantiser. */
  highest: (name: string) => number;
  /** After every run of the model over the images. */
  onRun?: () => void;
  /** Ends it, also in the middle of a run. */
  signal?: AbortSignal | undefined;
}

/** Runs of the model that `searchBlocks` needs at most. */
export function searchRuns(candidates: number, family: Family): number {
  return 1 + candidates * (family === 'swin' ? 7 : 6);
}

/**
 * Of several quantisers for every tensor inside a block, the one with the least squared error at
 * the block's output, the first of equals. All blocks are looked at in one run: each begins with
 * its float input, whatever the one before it did.
 *
 * @param images as `FloatRunner.run` takes them, one batch
 * @param candidates maps by the name of the quantiser; all have the same names
 * @returns the first candidate, with what was found instead where something was
 */
export async function searchBlocks(
  runner: FloatRunner,
  images: readonly Uint8Array[],
  candidates: readonly ReadonlyMap<string, Quantizer>[],
  { highest, onRun, signal }: BlockSearchOptions,
): Promise<Map<string, Quantizer>> {
  const { kernels } = runner.workspace;
  const pooled = pooledTokens(runner.model.architecture);
  const outputs = new Map<string, Float32Array>();
  const kinds = new Set<string>();
  const run = async (observe: ObserveTensor) => {
    await runner.runInSlices(images, { observe, signal });
    onRun?.();
    await breathe();
  };
  await run((name, values) => {
    const block = OUTPUT.exec(name)?.[1];
    if (block !== undefined) outputs.set(block, values.slice());
    const kind = SEARCHED.exec(name)?.[2];
    if (kind !== undefined) kinds.add(kind);
  });

  const found = new Map(candidates[0]);
  for (const kind of kinds) {
    const least = new Map<string, number>();
    for (const candidate of candidates) {
      await run((name, values, shape, address) => {
        if (SEARCHED.exec(name)?.[2] === kind) {
          const { scale, zeroPoint } = candidate.get(name)!;
          kernels.quantize(address, values.length, scale, zeroPoint, highest(name));
        }
        const block = OUTPUT.exec(name)?.[1];
        if (block === undefined) return;
        const expected = outputs.get(block)!;
        const error = outputError(values, expected, shape, pooled);
        values.set(expected);
        if (error >= (least.get(block) ?? Number.POSITIVE_INFINITY)) return;
        least.set(block, error);
        const searched = `${block}.${kind}`;
        found.set(searched, candidate.get(searched)!);
      });
    }
  }
  return found;
}

/**
 * Σ (a - b)² over tokens; the first `pooled` ones, which alone reach the logits, have the weight
 * that error feedback gives them too.
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

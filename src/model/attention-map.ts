import type { IntegerRunner } from '../forward/integer/runner.js';
import { attentionValues } from '../layers/softmax/attention-values.js';
import type { Pass } from '../runtime/passes.js';

/**
 * Which attention a map shows: `last`, that of the last block; `rollout`, that of all blocks in
 * sequence (Abnar and Zuidema, arXiv 2005.00928, equation 1).
 */
export type AttentionMethod = 'last' | 'rollout';
export const ATTENTION_METHODS: readonly AttentionMethod[] = ['last', 'rollout'];

/**
 * How much every patch counts, from the attention codes of an image: the mean over the heads for
 * the class token (and the distillation token), or for all patches if the head reads their mean.
 *
 * @param pixels uint8 `[imageSize, imageSize, 3]`
 * @returns f32 `[patches]`, row by row from the top; at least 0, their sum 1
 */
export function* attentionMap(
  runner: IntegerRunner,
  pixels: Uint8Array,
  method: AttentionMethod,
): Pass<Float32Array> {
  const { program, outputs } = runner.description;
  const { layers, prefix, read } = outputs.attention!;
  const wanted = method === 'last' ? layers.slice(-1) : layers;
  const { tokens } = program.activations.get(layers[0]!)!.heads!;
  const matrices: Float64Array[] = [];
  yield* runner.trace(pixels, (output) => {
    if (!wanted.includes(output)) return;
    const made = program.activations.get(output)!;
    matrices.push(meanOfHeads(runner.read(output), attentionValues(made), made.heads!.heads, tokens));
  });
  const last = matrices.pop()!;
  const [from, to] = read;
  let row = meanOfRows(last, from, to, tokens);
  if (method === 'rollout') {
    row = besides(row, from, to);
    for (const matrix of matrices.reverse()) {
      row = through(row, matrix, tokens);
      yield;
    }
  }
  return Float32Array.from(normalised(row.subarray(prefix)));
}

/** A = the mean of the heads' probabilities, `[queries, tokens]`; each row has the sum 1. */
function meanOfHeads(codes: Uint8Array, values: Float64Array, heads: number, tokens: number): Float64Array {
  const size = codes.length / heads;
  const sum = new Float64Array(size);
  codes.forEach((code, i) => {
    sum[i % size]! += values[code]!;
  });
  for (let at = 0; at < size; at += tokens) {
    sum.set(normalised(sum.subarray(at, at + tokens)), at);
  }
  return sum;
}

/** The mean of the rows from `from` up to, but excluding, `to`. */
function meanOfRows(matrix: Float64Array, from: number, to: number, tokens: number): Float64Array {
  const mean = new Float64Array(tokens);
  for (let row = from; row < to; row++) {
    for (let i = 0; i < tokens; i++) mean[i]! += matrix[row * tokens + i]! / (to - from);
  }
  return mean;
}

/** ½ of a row and ½ of its own tokens: the residual connection around the last block. */
function besides(row: Float64Array, from: number, to: number): Float64Array {
  return row.map((value, i) => value / 2 + (i >= from && i < to ? 1 / (2 * (to - from)) : 0));
}

/** row · (½A + ½I). */
function through(row: Float64Array, matrix: Float64Array, tokens: number): Float64Array {
  const next = row.map((value) => value / 2);
  row.forEach((value, query) => {
    for (let i = 0; i < tokens; i++) next[i]! += (value / 2) * matrix[query * tokens + i]!;
  });
  return next;
}

/** Scales a row to the sum 1. A row of zeros, which codes may give, becomes uniform. */
function normalised(row: Float64Array): Float64Array {
  const sum = row.reduce((total, value) => total + value, 0);
  return row.map((value) => (sum > 0 ? value / sum : 1 / row.length));
}

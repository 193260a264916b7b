import { inGroups, type KernelCall, type RowRange, share } from '../../runtime/calls.js';
import { LINEAR_BLOCK, LINEAR_CHUNK, TILE_ROWS } from '../../runtime/kernel-sizes.js';
import { roundUp } from '../../runtime/sizes.js';
import type { Checked } from '../checked.js';
import type { IntegerActivation, QuantizerScale } from '../integer-activation.js';
import {
  CODE_KEYS,
  codesOf,
  expectCodes,
  expectEights,
  factorsOf,
  type IntegerKind,
  multipliers,
  type Product,
  parseFlag,
  parseScale,
  parseShifts,
  prefixOf,
} from '../integer-kind.js';
import type { LayerBase } from '../layer-base.js';
import { LIMITS } from '../limits.js';
import type { Shape } from '../shape.js';
import type { TensorSpec } from '../tensor-spec.js';
import { type LinearLayer, linearShape } from './layer.js';
import { packedLength } from './nibbles.js';

/** The widths of weight codes. */
export type WeightBits = 8 | 7 | 6 | 5 | 4;
export const WEIGHT_BITS: readonly WeightBits[] = [8, 7, 6, 5, 4];

/** Fine codes, which index the table of a GELU. */
export const FINE_CODES = 4096;

/**
 * `NAME.weight`, int8 `[outputs, inputs]`, or u8 with two codes a byte (nibbles.ts); `NAME.bias`,
 * i32 `[outputs]` at the scale s_in·s_w; `NAME.multiplier`, i32 `[outputs]`.
 */
export interface IntegerLinear
  extends LayerBase<'linear'>,
    Pick<LinearLayer, 'outputs' | 'partial' | 'fine'>,
    Pick<Product, 'left' | 'right'>,
    QuantizerScale {
  readonly weightBits: WeightBits;
  readonly factors?: true;
}

export const linear: IntegerKind<IntegerLinear> = {
  operands: 1,
  parse(json) {
    json.onlyKeys(['outputs', 'weightBits', 'left', 'right', 'partial', 'fine', 'factors', ...CODE_KEYS]);
    return {
      outputs: json.integer('outputs', 1, LIMITS.columns),
      weightBits: json.oneOf('weightBits', WEIGHT_BITS),
      ...parseShifts(json),
      ...(json.value('partial') === undefined ? {} : { partial: parsePartial(json.child('partial')) }),
      ...parseFlag(json, 'fine'),
      ...parseFlag(json, 'factors'),
      ...parseScale(json),
    };
  },
  rule(layer, reads, { refuse }) {
    const { outputs, weightBits: bits } = layer;
    const shape = linearShape(layer, reads, refuse);
    // a panel of weights holds 8 outputs
    if (layer.partial !== undefined) expectEights(layer.partial.columns, refuse);
    expectCodes(reads[0]!, refuse);
    const inputs = reads[0]!.columns;
    const prefix = prefixOf(layer);
    const factors = factorsOf(layer, outputs);
    return {
      activation: layer.fine
        ? fineCodes(shape, layer)
        : codesOf(shape, { ...layer, factors: factors.name }, refuse),
      tensors: [
        weight(`${prefix}.weight`, outputs, inputs, bits),
        { name: `${prefix}.bias`, dtype: 'I32', shape: [outputs] },
        multipliers(`${prefix}.multiplier`, [outputs]),
        ...factors.tensors,
      ],
      macs: products(shape.rows, layer) * inputs,
    };
  },
  plan(layer, plan) {
    const { outputs, partial = { rows: 0, columns: 0 }, fine, left, right, zeroPoint, weightBits } = layer;
    const [input] = plan.inputs(layer);
    const type = plan.type(layer.reads[0]!);
    const { rows } = input!;
    const columns = roundUp(input!.columns, 8);
    const n = roundUp(outputs, 8);
    const [kernel, size] = fine ? (['linear_fine', 2] as const) : (['linear', 1] as const);
    const output = plan.output(layer, { stride: size * n });
    const prefix = prefixOf(layer);
    const weight = plan.weight(`${prefix}.weight`, outputs, input!.columns, weightBits);
    const bias = plan.constant(`${prefix}.bias`, n);
    const multiplier = plan.constant(`${prefix}.multiplier`, n);
    const bits = Math.log2(type.highest + 1);
    const packed = Math.min(2 * columns * roundUp(rows, TILE_ROWS), Math.max(LINEAR_CHUNK, 8 * columns));
    /** Rows `from` to `to` of outputs `at` to `end`. */
    const call = ([from, to]: RowRange, at: number, end: number, scratch: number): KernelCall[] =>
      at === end
        ? []
        : inGroups([from, to], (end - at) * columns).map(([row, count]) => [
            kernel,
            input!.address + row * input!.stride,
            input!.stride,
            type.zeroPoint,
            bits,
            weight.address + (at / 8) * weight.panelBytes,
            weightBits,
            bias.address + 4 * at,
            multiplier.address + 4 * at,
            left,
            right,
            output.address + size * (row * n + at),
            n,
            zeroPoint,
            count,
            end - at,
            columns,
            scratch,
          ]);
    const { rows: firstRows, columns: first } = partial;
    plan.step(layer, {
      kernel,
      constants: [weight, bias, multiplier],
      macs: products(rows, layer) * input!.columns,
      scratchBytes: packed + Math.max(LINEAR_BLOCK, 16 * columns),
      calls: (part) => [
        ...call(share(firstRows, part, TILE_ROWS), 0, first, part.scratch),
        ...call(share(rows, part, TILE_ROWS), first, n, part.scratch),
      ],
    });
  },
};

function parsePartial(json: Checked): { rows: number; columns: number } {
  json.onlyKeys(['rows', 'columns']);
  return { rows: json.integer('rows', 1, LIMITS.rows), columns: json.integer('columns', 8, LIMITS.columns) };
}

function fineCodes(shape: Shape, { scale, zeroPoint }: QuantizerScale): IntegerActivation {
  return { ...shape, element: 'fine', zeroPoint, highest: FINE_CODES - 1, scale };
}

/** The dot products of all rows. */
function products(rows: number, { outputs, partial }: IntegerLinear): number {
  return rows * outputs - (partial ? (rows - partial.rows) * partial.columns : 0);
}

function weight(name: string, outputs: number, inputs: number, bits: WeightBits): TensorSpec {
  const spec = { name, dtype: 'I8', shape: [outputs, inputs], bits } as const;
  if (bits === 8) return spec;
  if (bits === 4) return { ...spec, dtype: 'U8', shape: [outputs, packedLength(inputs)] };
  const [low, high] = [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1];
  return { ...spec, range: { low, high, expected: `a code from ${low} to ${high}` } };
}

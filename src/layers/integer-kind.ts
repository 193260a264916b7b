import { ELEMENT_MACS } from '../runtime/passes.js';
import type { Refuse } from '../text/refuse.js';
import type { Checked } from './checked.js';
import type { IntegerActivation, QuantizerScale } from './integer-activation.js';
import type { IntegerPlan } from './integer-plan.js';
import type { Layer } from './layer.js';
import type { LayerBase } from './layer-base.js';
import type { Shape } from './shape.js';
import type { TensorSpec } from './tensor-spec.js';

/** What a layer makes, and what that takes. */
export interface Made {
  readonly activation: IntegerActivation;
  readonly tensors: readonly TensorSpec[];
  /** Multiply-accumulates of the products. */
  readonly macs?: number;
  /** Elements that cost as much as `ELEMENT_MACS` multiply-accumulates each. */
  readonly elements?: number;
  /** Heads in all windows: each takes a few kernel calls. */
  readonly heads?: number;
}

/** The integer side of a kind of layer. */
export interface IntegerKind<L extends IntegerLayerBase> {
  /** How many activations it reads. */
  readonly operands: number;
  /** Reads its attributes, and refuses others. */
  parse(json: Checked): Omit<L, keyof LayerBase<string>>;
  /** Maps what it reads to what it makes, and refuses what its kernels cannot compute. */
  rule(layer: L, reads: readonly IntegerActivation[], context: RuleContext): Made;
  /** Rows after the last that its kernels may read, by operand. */
  readonly slack?: readonly number[];
  /** Reserves its memory and appends its step. */
  plan(layer: L, plan: IntegerPlan): void;
}

export interface RuleContext {
  /** Side of the image in pixels. */
  readonly imageSize: number;
  readonly refuse: Refuse;
}

/** What every integer layer has; `Kind` is one of `Layer['kind']`. */
export interface IntegerLayerBase extends LayerBase<Layer['kind']> {}

/** The prefix of a layer's tensors. */
export function prefixOf({ name, parameters = name }: IntegerLayerBase): string {
  return parameters;
}

/** The work of a layer in multiply-accumulates, for limits. */
export function workOf({ macs = 0, elements = 0 }: Made): number {
  return macs + ELEMENT_MACS * elements;
}

/** The keys of a layer that makes codes. */
export const CODE_KEYS = ['scale', 'zeroPoint'] as const;

/** The scale and zero point of a layer. */
export function parseScale(json: Checked): QuantizerScale {
  return { scale: json.scale('scale'), zeroPoint: json.integer('zeroPoint', 0, 4095) };
}

/** `true`, or nothing. */
export function parseFlag<Key extends string>(json: Checked, key: Key): { readonly [K in Key]?: true } {
  const value = json.value(key);
  if (value !== undefined && value !== true) json.fail(key, 'true, or nothing');
  return (value === undefined ? {} : { [key]: true }) as { readonly [K in Key]?: true };
}

/** Multiplier and shifts of a requantisation (assembly/common/requantize.scalar.ts). */
export interface Product {
  readonly multiplier: number;
  readonly left: number;
  readonly right: number;
}

export function parseProduct(json: Checked): Product {
  return { multiplier: json.integer('multiplier', -0x7fffffff, 0x7fffffff), ...parseShifts(json) };
}

export function parseShifts(json: Checked): Pick<Product, 'left' | 'right'> {
  return { left: json.integer('left', 0, 15), right: json.integer('right', 32, 62) };
}

/** Bits of the codes that a linear layer reads: 8, or 7. */
export function parseBits(json: Checked): { readonly bits?: 7 } {
  return json.value('bits') === undefined ? {} : { bits: json.oneOf('bits', [7]) };
}

/** An activation of affine u8 codes. */
export function codesOf(
  shape: Shape,
  { scale, zeroPoint, bits = 8, factors }: QuantizerScale & { bits?: number; factors?: string | undefined },
  refuse: Refuse,
): IntegerActivation {
  const highest = 2 ** bits - 1;
  if (zeroPoint > highest) refuse(`zeroPoint: expected an integer from 0 to ${highest}, found ${zeroPoint}`);
  return { ...shape, element: 'codes', zeroPoint, highest, scale, factors };
}

/** The codes of an element, in words. */
export function codesNamed(element: IntegerActivation['element']): string {
  return element === 'codes' ? 'affine codes' : `${element} codes`;
}

/** Refuses other codes than affine ones of one scale. */
export function expectCodes(
  { element, factors }: IntegerActivation,
  refuse: Refuse,
  withFactors = false,
): void {
  if (element !== 'codes') refuse(`expected affine codes, found ${codesNamed(element)}`);
  if (factors !== undefined && !withFactors)
    refuse('expected codes of one scale, found power-of-two factors');
}

/** Refuses a width that is not a multiple of 8, the channels that a kernel computes at a time. */
export function expectEights(width: number, refuse: Refuse, what = 'columns'): void {
  if (width % 8 !== 0) refuse(`expected a multiple of 8 ${what}, found ${width}`);
}

/** The tensor of a layer's power-of-two factors, u8 `[C]`, if it has them. */
export function factorsOf(
  layer: IntegerLayerBase & { readonly factors?: true },
  columns: number,
): { name?: string; tensors: TensorSpec[] } {
  if (layer.factors === undefined) return { tensors: [] };
  const name = `${prefixOf(layer)}.factors`;
  const range = { low: 0, high: 3, expected: 'a power-of-two factor from 0 to 3' };
  return { name, tensors: [{ name, dtype: 'U8', shape: [columns], range }] };
}

/** Multipliers, i32: any but -2^31, whose product with a sum could overflow. */
export function multipliers(name: string, shape: readonly number[]): TensorSpec {
  const range = { low: -0x7fffffff, high: 0x7fffffff, expected: 'a multiplier above -2^31' };
  return { name, dtype: 'I32', shape, range };
}

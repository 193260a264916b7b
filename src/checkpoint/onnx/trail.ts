/**
 * Follows a graph from its output back to the image, layer by layer. Every operation on the way
 * must be the one that the architecture has there. Nothing is skipped, so extra operations, scaling
 * and reordering are detected.
 */

import { describe } from './call.js';
import type { Expression, ExpressionKind, ExpressionOf, GeluKind, KnownTensor, View } from './expression.js';
import type { Layouts } from './view.js';
import type { GraphWeights, Weight } from './weights.js';
import { type OnnxNode, refuseNode } from './wire.js';

/** For each row where a trail began, the row of its view; undefined if the rows are the same. */
type TrailRows = Int32Array | undefined;

/** The current end of a trail: `view` is an input of `node`. */
export interface Trail {
  readonly view: View;
  readonly rows: TrailRows;
  readonly node: OnnxNode;
}

/** Weights, by their name within the block. */
export type WeightPart = Map<string, Weight>;

/** What all blocks must have in common. */
interface Common {
  epsilon?: number;
  gelu?: GeluKind;
  heads?: number;
}

export class Trails {
  readonly layouts: Layouts;
  readonly weights: GraphWeights;
  readonly common: Common = {};

  constructor(layouts: Layouts, weights: GraphWeights) {
    this.layouts = layouts;
    this.weights = weights;
  }

  /** The source of the trail's view, which must be of this kind. */
  expect<K extends ExpressionKind>({ view, node }: Trail, kind: K, what: string): ExpressionOf<K> {
    if (view.source.kind !== kind) refuseNode(node, `expected ${what} as its input, found ${describe(view)}`);
    this.unscaled(view, node);
    return view.source as ExpressionOf<K>;
  }

  /** The input expression of a layer. */
  source({ view, node }: Trail): Expression {
    const { source } = view;
    return source.kind === 'constant'
      ? refuseNode(node, `expected a layer, found ${describe(view)}`)
      : source;
  }

  /** Refuses a scaled view. */
  unscaled(view: View, node: OnnxNode): void {
    if (view.factor !== 1)
      refuseNode(node, `expected ${describe(view)} unscaled, found it scaled by ${view.factor}`);
  }

  /**
   * For each row of channels of a view, the row of its source. Rows must be whole, in any order.
   */
  rows(view: View, channels: number, node: OnnxNode): TrailRows {
    const refuse = (): never =>
      refuseNode(
        node,
        `expected rows of ${channels} channels of ${describe(view)}, found its elements in another order`,
      );
    if (view.shape.at(-1) !== channels || view.source.size % channels !== 0) refuse();
    if (this.layouts.isWhole(view)) return undefined;
    const cells = this.layouts.cells(view);
    const rows = new Int32Array(cells.length / channels);
    for (let row = 0, at = 0; row < rows.length; row++) {
      const first = cells[at]!;
      rows[row] = first / channels;
      if (first % channels !== 0) refuse();
      for (let channel = 0; channel < channels; channel++) if (cells[at++] !== first + channel) refuse();
    }
    return rows;
  }

  /** Goes one step back, from the rows of a layer's output to those of its input. */
  step(trail: Trail, channels: number, to: { input: View; node: OnnxNode }): Trail {
    const rows = composeRows(trail.rows, this.rows(trail.view, channels, trail.node));
    return { view: to.input, rows, node: to.node };
  }

  norm(trail: Trail, part: WeightPart, name: string, channels: number): Trail {
    const norm = this.expect(trail, 'norm', `the LayerNorm ${name}`);
    this.normWeights(norm, part, name, channels);
    return this.step(trail, channels, norm);
  }

  normWeights(norm: ExpressionOf<'norm'>, part: WeightPart, name: string, channels: number): void {
    part.set(
      `${name}.weight`,
      this.weights.tensor(norm.weight, [channels], `the weight of ${name}`, norm.node),
    );
    this.bias(part, name, norm.bias, channels, norm.node);
    // Exporters write 1e-6 as the nearest binary32, 9.999999974752427e-7.
    const epsilon = Number(norm.epsilon.toPrecision(6));
    this.common.epsilon ??= epsilon;
    if (this.common.epsilon !== epsilon)
      refuseNode(
        norm.node,
        `${name}: expected the epsilon ${this.common.epsilon}, as in other layers, found ${epsilon}`,
      );
  }

  /** Matches a linear layer with `rows` outputs. */
  linear(trail: Trail, part: WeightPart, name: string, rows: number): Trail {
    const linear = this.expect(trail, 'linear', `the linear layer ${name}`);
    this.linearWeights(part, name, linear, rows);
    return this.step(trail, rows, linear);
  }

  linearWeights(part: WeightPart, name: string, linear: ExpressionOf<'linear'>, rows: number): void {
    const { weight, bias, node } = linear;
    part.set(
      `${name}.weight`,
      this.weights.tensor(weight, [rows, weight.shape[1]!], `the weight of ${name}`, node),
    );
    this.bias(part, name, bias, rows, node);
  }

  /** Matches x + fc2(GELU(fc1(LayerNorm(x)))), from the sum back to x. */
  mlp(sum: ExpressionOf<'add'>, part: WeightPart, channels: number): Expression {
    const { branch, rest } = this.residual(sum, 'gelu', 'the MLP');
    let trail = this.linear(branch, part, 'mlp.fc2', channels);
    const gelu = this.expect(trail, 'gelu', 'a GELU');
    this.common.gelu ??= gelu.approximation;
    if (this.common.gelu !== gelu.approximation)
      refuseNode(
        gelu.node,
        `expected a GELU by ${this.common.gelu}, as in other blocks, found ${gelu.approximation}`,
      );
    const hidden = gelu.shape.at(-1)!;
    trail = this.linear(this.step(trail, hidden, gelu), part, 'mlp.fc1', hidden);
    trail = this.norm(trail, part, 'norm2', channels);
    this.arrive(trail, rest, channels);
    return rest;
  }

  /**
   * The two sides of a residual addition. The branch ends in a linear layer whose input is an
   * expression of this kind.
   */
  residual(
    sum: ExpressionOf<'add'>,
    kind: ExpressionKind,
    what: string,
  ): { branch: Trail; rest: Expression } {
    const { a, b, node } = sum;
    for (const [view, other] of [[a, b] as const, [b, a] as const]) {
      const { source } = view;
      if (source.kind !== 'linear' || source.input.source.kind !== kind) continue;
      if (other.source.kind === 'constant') continue;
      if (!this.layouts.isWhole(other))
        refuseNode(
          node,
          `expected the whole of ${describe(other)} as the residual, found a part of it or another order`,
        );
      this.unscaled(other, node);
      return { branch: { view, rows: undefined, node }, rest: other.source };
    }
    return refuseNode(
      node,
      `expected the sum of a residual and ${what}, found the sum of ${describe(a)} and ${describe(b)}`,
    );
  }

  /** Checks that a branch begins at its residual, and that each row is added to itself. */
  arrive(trail: Trail, source: Expression, channels: number): void {
    const rows = this.reach(trail, source, channels);
    if (rows && !rows.every((row, i) => row === i))
      refuseNode(trail.node, 'expected each token to be added to itself, found another order');
  }

  /** The rows of `source`, which the trail must have reached. */
  reach({ view, rows, node }: Trail, source: Expression, channels: number): TrailRows {
    if (view.source !== source)
      refuseNode(node, `expected the residual as its input, found ${describe(view)}`);
    this.unscaled(view, node);
    return composeRows(rows, this.rows(view, channels, node));
  }

  /** Takes a bias; exporters may omit one that is zero. */
  bias(
    part: WeightPart,
    name: string,
    bias: View<KnownTensor> | undefined,
    size: number,
    node: OnnxNode,
  ): void {
    const weight = bias
      ? this.weights.tensor(bias, [size], `the bias of ${name}`, node)
      : this.weights.floats(new Float64Array(size), [size]);
    part.set(`${name}.bias`, weight);
  }
}

/** The composition of two row maps: first a, then b. */
export function composeRows(a: TrailRows, b: TrailRows): TrailRows {
  if (!a || !b) return a ?? b;
  return a.map((row) => b[row]!);
}

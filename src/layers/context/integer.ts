import { shareHeads } from '../../runtime/calls.js';
import { TILE_ROWS } from '../../runtime/kernel-sizes.js';
import { roundUp } from '../../runtime/sizes.js';
import type { AttentionCodes, QuantizerScale } from '../integer-activation.js';
import {
  CODE_KEYS,
  codesNamed,
  codesOf,
  expectCodes,
  expectEights,
  type IntegerKind,
  type Product,
  parseBits,
  parseProduct,
  parseScale,
} from '../integer-kind.js';
import type { LayerBase } from '../layer-base.js';
import { contextShape } from './layer.js';

export interface IntegerContext extends LayerBase<'context'>, Product, QuantizerScale {
  readonly bits?: 7;
}

export const context: IntegerKind<IntegerContext> = {
  operands: 2,
  // v is packed eight tokens at a time
  slack: [0, 8],
  parse(json) {
    json.onlyKeys(['multiplier', 'left', 'right', 'bits', ...CODE_KEYS]);
    return { ...parseProduct(json), ...parseBits(json), ...parseScale(json) };
  },
  rule(layer, reads, { refuse }) {
    const [probs, qkv] = reads;
    const shape = contextShape(reads, refuse);
    expectEights(shape.columns / probs!.heads!.heads, refuse, 'channels of a head');
    if (probs!.element === 'codes' || probs!.element === 'fine')
      refuse(`expected probabilities, found ${codesNamed(probs!.element)}`);
    expectCodes(qkv!, refuse);
    const { windows, heads, tokens } = probs!.heads!;
    return {
      activation: codesOf(shape, layer, refuse),
      tensors: [],
      macs: shape.rows * shape.columns * tokens,
      heads: windows * heads,
    };
  },
  plan(layer, plan) {
    const { multiplier, left, right, zeroPoint } = layer;
    const [probs, qkv] = plan.inputs(layer);
    const [probabilities, { zeroPoint: z }] = layer.reads.map((name) => plan.type(name)) as [
      ReturnType<typeof plan.type>,
      ReturnType<typeof plan.type>,
    ];
    const { windows, heads, queries, tokens } = probabilities.heads!;
    const { stride } = probs!;
    const out = plan.output(layer);
    const { columns: dim } = out;
    const { highest } = plan.type(layer.name);
    const d = dim / heads;
    const kernel = `context_${probabilities.element as AttentionCodes}` as const;
    plan.step(layer, {
      kernel,
      macs: windows * heads * queries * tokens * d,
      scratchBytes: 2 * roundUp(tokens, 8) * (roundUp(queries, TILE_ROWS) + d) + 64,
      calls: (part) =>
        shareHeads(windows, heads, queries, part, tokens * d).map(({ window, head, from, rows }) => [
          kernel,
          probs!.address + ((window * heads + head) * queries + from) * stride,
          stride,
          qkv!.address + window * tokens * qkv!.stride + 2 * dim + head * d,
          qkv!.stride,
          z,
          multiplier,
          left,
          right,
          out.address + (window * queries + from) * dim + head * d,
          dim,
          zeroPoint,
          highest,
          rows,
          tokens,
          d,
          part.scratch,
        ]),
    });
  },
};

import { shareHeads } from '../../runtime/calls.js';
import { TILE_ROWS } from '../../runtime/kernel-sizes.js';
import { roundUp } from '../../runtime/sizes.js';
import type { QuantizerScale } from '../integer-activation.js';
import {
  CODE_KEYS,
  codesOf,
  expectCodes,
  expectEights,
  type IntegerKind,
  type Product,
  parseProduct,
  parseScale,
} from '../integer-kind.js';
import type { LayerBase } from '../layer-base.js';
import { LIMITS } from '../limits.js';
import { type ScoresLayer, scoresShape } from './layer.js';

export interface IntegerScores
  extends LayerBase<'scores'>,
    Pick<ScoresLayer, 'heads' | 'queries'>,
    Product,
    QuantizerScale {}

export const scores: IntegerKind<IntegerScores> = {
  operands: 1,
  // kᵀ is packed eight tokens at a time
  slack: [8],
  parse(json) {
    json.onlyKeys(['heads', 'queries', 'multiplier', 'left', 'right', ...CODE_KEYS]);
    return {
      heads: json.integer('heads', 1, LIMITS.columns),
      ...(json.value('queries') === undefined ? {} : { queries: json.integer('queries', 1, LIMITS.rows) }),
      ...parseProduct(json),
      ...parseScale(json),
    };
  },
  rule(layer, reads, { refuse }) {
    const shape = scoresShape(layer, reads, refuse);
    expectEights(reads[0]!.columns / 3 / layer.heads, refuse, 'channels of a head');
    expectCodes(reads[0]!, refuse);
    const { windows, heads } = shape.heads!;
    return {
      activation: codesOf(shape, layer, refuse),
      tensors: [],
      macs: (shape.rows * shape.columns * reads[0]!.columns) / 3 / heads,
      heads: windows * heads,
    };
  },
  plan(layer, plan) {
    const { multiplier, left, right, zeroPoint } = layer;
    const [qkv] = plan.inputs(layer);
    const { windows, heads, queries, tokens } = plan.type(layer.name).heads!;
    const z = plan.type(layer.reads[0]!).zeroPoint;
    const dim = qkv!.columns / 3;
    const d = dim / heads;
    const out = plan.output(layer, { stride: roundUp(tokens, 16) });
    const { stride } = out;
    plan.step(layer, {
      kernel: 'scores',
      macs: windows * heads * queries * tokens * d,
      scratchBytes: 2 * d * (roundUp(queries, TILE_ROWS) + roundUp(tokens, 8)) + 64,
      calls: (part) =>
        shareHeads(windows, heads, queries, part, tokens * d).map(({ window, head, from, rows }) => {
          const tokensAt = qkv!.address + window * tokens * qkv!.stride + head * d;
          return [
            'scores',
            tokensAt + from * qkv!.stride,
            tokensAt + dim,
            qkv!.stride,
            z,
            multiplier,
            left,
            right,
            out.address + ((window * heads + head) * queries + from) * stride,
            stride,
            zeroPoint,
            rows,
            tokens,
            d,
            part.scratch,
          ];
        }),
    });
  },
};

import { share } from '../../runtime/calls.js';
import type { Checked } from '../checked.js';
import type { QuantizerScale } from '../integer-activation.js';
import {
  CODE_KEYS,
  codesOf,
  expectCodes,
  expectEights,
  type IntegerKind,
  parseBits,
  parseFlag,
  parseScale,
  prefixOf,
} from '../integer-kind.js';
import { LIMITS } from '../limits.js';
import { channelsOf, type LayerNormLayer, layerNormShape, MAX_WINDOW } from './layer.js';

/** `NAME.gain` and `NAME.bias`, i32 `[C]`: γ/s_out in Q(shift - 12), β/s_out in Q12. */
export interface IntegerLayerNorm extends LayerNormLayer, QuantizerScale {
  readonly shift: number;
  readonly bits?: 7;
}

export const layernorm: IntegerKind<IntegerLayerNorm> = {
  operands: 1,
  parse(json) {
    json.onlyKeys(['shift', 'rows', 'joined', 'window', 'merge', 'bits', ...CODE_KEYS]);
    const has = (key: string) => json.value(key) !== undefined;
    return {
      shift: json.integer('shift', 1, 62),
      ...(has('rows') ? { rows: json.integer('rows', 1, LIMITS.rows) } : {}),
      ...parseFlag(json, 'joined'),
      ...(has('window') ? { window: parseWindow(json.child('window')) } : {}),
      ...parseFlag(json, 'merge'),
      ...parseBits(json),
      ...parseScale(json),
    };
  },
  rule(layer, reads, { refuse }) {
    const shape = layerNormShape(layer, reads, refuse);
    expectEights(reads[0]!.columns, refuse);
    expectCodes(reads[0]!, refuse, true);
    const channels = channelsOf(layer, reads[0]!);
    const name = prefixOf(layer);
    return {
      activation: codesOf(shape, layer, refuse),
      tensors: [
        { name: `${name}.gain`, dtype: 'I32', shape: [channels] },
        { name: `${name}.bias`, dtype: 'I32', shape: [channels] },
      ],
      elements: (shape.rows * shape.columns) / 8,
    };
  },
  plan(layer, plan) {
    const { shift: right, zeroPoint, joined, merge } = layer;
    const [input] = plan.inputs(layer);
    const type = plan.type(layer.reads[0]!);
    const { order, highest } = plan.type(layer.name);
    const output = plan.output(layer);
    const columns = channelsOf(layer, type);
    const rows = joined ? layer.rows! : output.rows;
    const power = plan.powers(type, columns / type.columns);
    const gain = plan.constant(`${prefixOf(layer)}.gain`);
    const bias = plan.constant(`${prefixOf(layer)}.bias`);
    const { zeroPoint: z } = type;
    const isWindowed = layer.window !== undefined;
    const kernel = isWindowed ? 'layernorm_windows' : merge ? 'layernorm_merge' : 'layernorm';
    plan.step(layer, {
      kernel,
      constants: [power, gain, bias],
      scratchBytes: merge ? columns : 0,
      calls: (part) => {
        const parameters = [z, power.address, gain.address, bias.address, right] as const;
        if (isWindowed) {
          const { side, window, shift } = order!;
          const [from, to] = share(rows / window, part);
          const out = output.address + from * window * columns;
          return [
            [
              kernel as 'layernorm_windows',
              input!.address,
              ...parameters,
              out,
              zeroPoint,
              highest,
              columns,
              side,
              window,
              shift,
              from,
              to - from,
            ],
          ];
        }
        const [from, to] = share(rows, part);
        const at = from * columns;
        const out = output.address + at;
        if (merge) {
          return [
            [
              kernel as 'layernorm_merge',
              input!.address,
              ...parameters,
              out,
              zeroPoint,
              highest,
              columns,
              Math.sqrt(type.rows),
              from,
              to - from,
              part.scratch,
            ],
          ];
        }
        return [
          [
            kernel as 'layernorm',
            input!.address + at,
            ...parameters,
            out,
            zeroPoint,
            highest,
            to - from,
            columns,
          ],
        ];
      },
    });
  },
};

function parseWindow(json: Checked): { size: number; shift: number } {
  json.onlyKeys(['size', 'shift']);
  return { size: json.integer('size', 1, MAX_WINDOW), shift: json.integer('shift', 0, MAX_WINDOW - 1) };
}

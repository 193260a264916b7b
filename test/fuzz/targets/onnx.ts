/**
 * ONNX models: graphs with nodes, attributes, tensors and shapes changed, and protobuf that is
 * damaged.
 */

import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { readGraph } from '../../../src/checkpoint/onnx/wire.js';
import { exported, type MutableGraph, written } from '../../checkpoint/onnx/support.js';
import type { Dice } from '../dice.js';
import { mutatedBytes, oddText } from '../mutate.js';
import type { Target } from '../target.js';
import { checkFloat, FLOAT_CODES } from './float.js';

const NAMES = [
  ...['vit-timm-14', 'vit-timm-23-dynamo', 'vit-transformers-11', 'vit-torchvision-17', 'vit-timm-17-f16'],
  ...[
    'vit-transformers-18-sdpa-dynamo',
    'vit-distilled-timm-17',
    'vit-timm-17-unfolded-batch',
    'swin-timm-20-dynamo',
  ],
  ...['swin-transformers-14-any-size', 'swin-torchvision-18-dynamo'],
];
const files = new Map<string, Uint8Array>();

function base(dice: Dice): Uint8Array {
  const name = dice.pick(NAMES);
  const file = files.get(name) ?? exported(name);
  files.set(name, file);
  return file;
}

const OPS = [
  ...[
    'Add',
    'Mul',
    'Sub',
    'Div',
    'MatMul',
    'Gemm',
    'Reshape',
    'Transpose',
    'Slice',
    'Concat',
    'Gather',
    'Softmax',
  ],
  ...[
    'LayerNormalization',
    'Erf',
    'Gelu',
    'Conv',
    'Identity',
    'Cast',
    'Shape',
    'Expand',
    'Split',
    'Squeeze',
    'Range',
  ],
  ...['ConstantOfShape', 'Where', 'Tile', 'Pad', 'Roll', 'Relu', 'QuantizeLinear', 'If', 'Loop', ''],
];

function changeGraph(dice: Dice, graph: MutableGraph): void {
  const node = dice.pick(graph.nodes);
  const initialiser = dice.pick(graph.initialisers);
  const value = () =>
    dice.pick([
      ...dice.pick(graph.nodes).outputs,
      dice.pick(graph.initialisers).name,
      '',
      oddText(dice).replaceAll(/\p{C}/gu, ''),
    ]);
  switch (dice.below(13)) {
    case 0:
      graph.nodes.splice(graph.nodes.indexOf(node), 1);
      break;
    case 1:
      node.op = dice.pick(OPS);
      break;
    case 2:
      node.inputs = node.inputs.map((input) => (dice.chance(0.5) ? value() : input));
      break;
    case 3:
      node.outputs = dice.pick([[], [...node.outputs, value()], [value()]]);
      break;
    case 4: {
      const attributes = new Map(node.attributes);
      for (const [key, attribute] of attributes) {
        const numbers = attribute.numbers.map((n) => dice.pick([n, -n, n + 1, 0, -1, dice.oddInteger()]));
        const number =
          attribute.number === undefined
            ? undefined
            : dice.pick([attribute.number, -1, 0, 0.5, dice.oddInteger()]);
        attributes.set(key, { ...attribute, number, numbers: dice.chance(0.2) ? [...numbers, 1] : numbers });
      }
      node.attributes = attributes;
      break;
    }
    case 5:
      node.attributes = new Map();
      break;
    case 6:
      initialiser.dims = dice.pick([
        initialiser.dims.map((n) => dice.pick([n, n + 1, 0, dice.oddInteger()])),
        [...initialiser.dims, 1],
        [...initialiser.dims].reverse(),
        [],
        Array.from({ length: 100 }, () => 1),
      ]);
      break;
    case 7:
      initialiser.dataType = dice.between(0, 24);
      break;
    case 8:
      if (initialiser.raw) initialiser.raw = mutatedBytes(dice, initialiser.raw, 1);
      else
        initialiser.numbers = initialiser.numbers?.map((n) =>
          dice.pick([n, -n, 0, n + 1, -1, dice.oddInteger()]),
        );
      break;
    case 9:
      graph.initialisers.splice(graph.initialisers.indexOf(initialiser), 1);
      break;
    case 10:
      initialiser.external = new Map([
        [
          'location',
          dice.pick(['weights.data', '../x', '/etc/passwd', oddText(dice).replaceAll(/\p{C}/gu, '')]),
        ],
        ['offset', String(dice.oddInteger())],
        ['length', String(dice.oddInteger())],
      ]);
      initialiser.raw = undefined;
      break;
    case 11:
      for (const one of dice.pick([graph.inputs, graph.outputs]))
        one.dims = one.dims?.map((n) => dice.pick([n, undefined, 0, dice.oddInteger() % 2 ** 31]));
      break;
    default:
      graph.nodes.push({ ...node, outputs: dice.chance(0.5) ? node.outputs : node.inputs });
  }
}

/** The message with one of its fields, or of those inside, changed on the wire. */
function changedWire(dice: Dice, bytes: Uint8Array, depth: number): Uint8Array {
  const reader = new BinaryReader(bytes);
  const fields: [number, WireType, Uint8Array][] = [];
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    const start = reader.pos;
    reader.skip(type, field);
    fields.push([field, type, bytes.subarray(start, reader.pos)]);
  }
  const at = dice.below(fields.length);
  const writer = new BinaryWriter();
  for (const [i, [field, type, raw]] of fields.entries()) {
    const again = (raws: Uint8Array, wire = type, number = field) => writer.tag(number, wire).raw(raws);
    if (i !== at) again(raw);
    else if (type === WireType.LengthDelimited && depth > 0 && dice.chance(0.8)) {
      const inner = new BinaryReader(raw).bytes();
      let changed: Uint8Array;
      try {
        changed = changedWire(dice, inner, depth - 1);
      } catch {
        changed = mutatedBytes(dice, inner, 1);
      }
      writer.tag(field, type).bytes(changed);
    } else {
      switch (dice.below(7)) {
        case 0:
          break;
        case 1:
          again(raw);
          again(raw);
          break;
        case 2:
          again(raw, dice.pick([0, 1, 2, 3, 4, 5]) as WireType);
          break;
        case 3:
          again(raw, type, dice.between(1, 20));
          break;
        case 4:
          writer.tag(field, WireType.Varint).raw(new Uint8Array(dice.between(1, 11)).fill(255));
          break;
        case 5:
          // a length beyond the end
          writer.tag(field, WireType.LengthDelimited).uint32(dice.oddInteger());
          break;
        default:
          again(mutatedBytes(dice, raw, 1));
      }
    }
  }
  return writer.finish();
}

export const onnx: Target = {
  name: 'onnx',
  about: 'ONNX models: graphs, attributes, tensors, protobuf',
  inputs: 50,
  codes: FLOAT_CODES,
  place: /^fuzz\.bin: /,
  make(dice) {
    const file = base(dice);
    if (!dice.chance(0.97)) return file;
    if (dice.chance(0.1)) return mutatedBytes(dice, file);
    if (dice.chance(0.4)) return changedWire(dice, file, 5);
    const graph = readGraph(file, 'base') as MutableGraph;
    for (let i = dice.between(1, 3); i > 0; i--) changeGraph(dice, graph);
    return written(graph);
  },
  check: (input) => checkFloat(input),
};

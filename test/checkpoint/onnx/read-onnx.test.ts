import { describe, expect, test } from '@jest/globals';
import { externalNames, type OnnxModel, readOnnx } from '../../../src/checkpoint/onnx/read-onnx.js';
import { type Tensor, writeSafetensors } from '../../../src/checkpoint/safetensors/safetensors.js';
import { asFloat32 } from '../../../src/checkpoint/safetensors/typed-views.js';
import { quantize } from '../../../src/quantize/index.js';
import { randomPixels } from '../../forward/float/support.js';
import { expectSameButSource } from '../../support/same-checkpoint.js';
import { changed, expectedWeights, exported, nodeOf, outside } from './support.js';

const VIT = { family: 'vit', num_heads: 2, image_size: 16, gelu: 'erf' } as const;
const SWIN = { family: 'swin', num_heads: 2, layer_norm_eps: 1e-5, image_size: 32, gelu: 'erf' } as const;

const VITS = [
  ['vit-timm-14', { ...VIT, layer_norm_eps: 1e-6 }],
  ['vit-timm-17-unfolded-batch', { ...VIT, layer_norm_eps: 1e-6 }],
  ['vit-timm-17-f16', { ...VIT, layer_norm_eps: 1e-6 }],
  ['vit-timm-17-tanh', { ...VIT, layer_norm_eps: 1e-6, gelu: 'tanh' }],
  ['vit-timm-23-dynamo', { ...VIT, layer_norm_eps: 1e-6 }],
  ['vit-transformers-11', { ...VIT, layer_norm_eps: 1e-12 }],
  ['vit-transformers-20-any-size', { ...VIT, layer_norm_eps: 1e-12 }],
  ['vit-transformers-18-sdpa-dynamo', { ...VIT, layer_norm_eps: 1e-12 }],
  ['vit-torchvision-17', { ...VIT, layer_norm_eps: 1e-6 }],
  ['vit-torchvision-18-dynamo', { ...VIT, layer_norm_eps: 1e-6 }],
] as const;

const DISTILLED = [
  ['vit-distilled-timm-17', { ...VIT, layer_norm_eps: 1e-6 }],
  ['vit-distilled-timm-18-dynamo', { ...VIT, layer_norm_eps: 1e-6 }],
  ['vit-distilled-transformers-14', { ...VIT, layer_norm_eps: 1e-12 }],
] as const;

const SWINS = [
  ['swin-timm-11', SWIN],
  ['swin-timm-17-unfolded', SWIN],
  ['swin-timm-20-dynamo', SWIN],
  ['swin-transformers-17-f16', SWIN],
  ['swin-torchvision-17', SWIN],
  ['swin-torchvision-18-dynamo', SWIN],
] as const;

/** Expects the same names, shapes and exact values. */
function expectWeights({ tensors }: Pick<OnnxModel, 'tensors'>, expected: ReadonlyMap<string, Tensor>): void {
  expect([...tensors.keys()].sort()).toEqual([...expected.keys()].sort());
  for (const [name, tensor] of tensors) {
    const { shape } = expected.get(name)!;
    expect({ name: tensor.name, shape: tensor.shape }).toEqual({ name, shape });
    expect(asFloat32(tensor)).toEqual(asFloat32(expected.get(name)!));
  }
}

describe('readOnnx', () => {
  test.each(DISTILLED)('reads %s', (name, config) => {
    const model = readOnnx(exported(name), { file: name });
    expectWeights(model, expectedWeights('vit-distilled'));
    expect(model.config).toEqual(config);
  });

  test.each(DISTILLED)('%s quantises to the same bytes as its state dict', async (name, told) => {
    const images = [randomPixels(768, 1), randomPixels(768, 2)].map((data) => ({
      width: 16,
      height: 16,
      data,
    }));
    const state = writeSafetensors(expectedWeights('vit-distilled').values(), {});
    const { num_heads, layer_norm_eps } = told;
    const one = await quantize(state, images, { config: { num_heads, layer_norm_eps } });
    expect(one.model.architecture).toMatchObject({ prefix: 2, pool: 'two-tokens' });
    expectSameButSource(await quantize(exported(name), images), one);
  });

  test('accepts the two heads added in either order', () => {
    const model = changed('vit-distilled-timm-17', (graph) => {
      const sum = graph.nodes.filter(({ op }) => op === 'Add').at(-1)!;
      sum.inputs = [...sum.inputs].reverse();
    });
    expectWeights(readOnnx(model), expectedWeights('vit-distilled'));
  });

  test('reads a distilled model with only the head of the class token', () => {
    const expected = expectedWeights('vit-distilled');
    for (const name of ['head_dist.weight', 'head_dist.bias']) expected.delete(name);
    expectWeights(readOnnx(exported('vit-distilled-transformers-17-one-head')), expected);
  });

  test.each(VITS)('reads %s', (name, config) => {
    const model = readOnnx(exported(name), { file: name });
    expectWeights(model, expectedWeights('vit'));
    expect(model.config).toEqual(config);
  });

  test.each(SWINS)('reads %s', (name, config) => {
    const model = readOnnx(exported(name), { file: name });
    expectWeights(model, expectedWeights('swin'));
    expect(model.config).toEqual(config);
  });

  test('gives the class token a position of zeros if only the patches have positions', () => {
    const expected = expectedWeights('vit');
    const positions = expected.get('pos_embed')!;
    const values = asFloat32(positions).slice();
    values.fill(0, 0, 16);
    expected.set('pos_embed', { ...positions, data: new Uint8Array(values.buffer) });
    expectWeights(readOnnx(exported('vit-timm-17-patch-positions')), expected);
  });

  test('sorts the tensors by the forward pass', () => {
    const names = [...readOnnx(exported('vit-torchvision-18-dynamo')).tensors.keys()];
    expect(names.slice(0, 5)).toEqual([
      'cls_token',
      'pos_embed',
      'patch_embed.proj.weight',
      'patch_embed.proj.bias',
      'blocks.0.norm1.weight',
    ]);
    expect(names.at(-1)).toBe('head.bias');
  });

  test('keeps 16-bit weights in 16 bits, but makes gathered tables float32', () => {
    const { tensors } = readOnnx(exported('swin-transformers-17-f16'));
    expect(tensors.get('layers.0.blocks.0.attn.qkv.weight')!.dtype).toBe('F16');
    expect(tensors.get('head.bias')!.dtype).toBe('F16');
    expect(tensors.get('layers.1.blocks.0.attn.relative_position_bias_table')!.dtype).toBe('F32');
  });

  test('returns views on the file, and copies of transposed weights only', () => {
    const bytes = exported('vit-timm-14');
    const { tensors } = readOnnx(bytes);
    expect(tensors.get('pos_embed')!.data.buffer).toBe(bytes.buffer);
    expect(tensors.get('patch_embed.proj.weight')!.data.buffer).toBe(bytes.buffer);
    const { data } = tensors.get('blocks.0.mlp.fc1.weight')!;
    expect(data.buffer).not.toBe(bytes.buffer);
    expect(data.buffer.byteLength).toBe(32 * 16 * 4);
  });

  test('reads a Buffer at an odd offset', () => {
    const bytes = exported('vit-timm-17-f16');
    const shifted = Buffer.alloc(bytes.length + 1);
    shifted.set(bytes, 1);
    expectWeights(readOnnx(shifted.subarray(1)), expectedWeights('vit'));
  });
});

describe('exporters may use', () => {
  test('any order of nodes', () => {
    const bytes = changed('swin-torchvision-17', (graph) => {
      graph.nodes.reverse();
      graph.nodes.sort((a, b) => a.op.localeCompare(b.op));
    });
    expectWeights(readOnnx(bytes), expectedWeights('swin'));
  });

  test('any names of values and nodes', () => {
    const bytes = changed('vit-timm-17-f16', (graph) => {
      const renamed = new Map<string, string>();
      const rename = (name: string) => {
        if (name === '') return name;
        if (!renamed.has(name)) renamed.set(name, `v${renamed.size}`);
        return renamed.get(name)!;
      };
      for (const node of graph.nodes) {
        node.name = '';
        node.inputs = node.inputs.map(rename);
        node.outputs = node.outputs.map(rename);
      }
      for (const list of [graph.initialisers, graph.inputs, graph.outputs])
        for (const value of list) value.name = rename(value.name);
    });
    expectWeights(readOnnx(bytes), expectedWeights('vit'));
  });

  test('weights in Constant nodes, unused nodes, and weights that are also inputs', () => {
    const bytes = changed('vit-transformers-11', (graph) => {
      const [first, ...others] = graph.initialisers;
      graph.initialisers = [first!];
      graph.inputs.push({ name: first!.name, elementType: 1, dims: [...first!.dims] });
      const attribute = { number: undefined, numbers: [], text: undefined };
      const constant = { file: '', name: '', op: 'Constant', domain: 'ai.onnx', inputs: [] };
      for (const tensor of others) {
        const attributes = new Map([['value', { ...attribute, tensor }]]);
        graph.nodes.push({ ...constant, outputs: [tensor.name], attributes });
      }
      const unused = { ...constant, op: 'MaxPool', inputs: ['pixel_values'], outputs: ['pooled'] };
      graph.nodes.push({ ...unused, attributes: new Map() });
    });
    expectWeights(readOnnx(bytes), expectedWeights('vit'));
  });

  test('any order of operands in additions and multiplications', () => {
    const bytes = changed('vit-timm-14', (graph) => {
      for (const node of graph.nodes)
        if (node.op === 'Add' || node.op === 'Mul') node.inputs = [...node.inputs].reverse();
    });
    expectWeights(readOnnx(bytes), expectedWeights('vit'));
  });

  test('16-bit floats in int32_data', () => {
    const bytes = changed('vit-timm-17-f16', (graph) => {
      for (const tensor of graph.initialisers) {
        if (tensor.dataType !== 10) continue;
        tensor.numbers = Array.from(new Uint16Array(new Uint8Array(tensor.raw!).buffer));
        tensor.raw = undefined;
      }
    });
    expectWeights(readOnnx(bytes), expectedWeights('vit'));
  });

  test('64-bit floats', () => {
    const bytes = changed('vit-timm-14', (graph) => {
      for (const tensor of graph.initialisers) {
        if (tensor.dataType !== 1) continue;
        const values = new Float32Array(new Uint8Array(tensor.raw!).buffer);
        tensor.raw = new Uint8Array(new Float64Array(values).buffer);
        tensor.dataType = 11;
      }
    });
    const model = readOnnx(bytes);
    expectWeights(model, expectedWeights('vit'));
    expect(model.tensors.get('blocks.0.mlp.fc1.weight')!.dtype).toBe('F64');
  });

  test('Gemm with transB and an untransposed weight', () => {
    const bytes = changed('vit-timm-14', (graph) => {
      const gemm = nodeOf(graph, 'Gemm');
      const weight = graph.initialisers.find(({ name }) => name === gemm.inputs[1])!;
      expect(weight.dims).toEqual([3, 16]);
      const values = new Float32Array(new Uint8Array(weight.raw!).buffer);
      const transposed = Float32Array.from(values, (_, i) => values[(i % 3) * 16 + Math.floor(i / 3)]!);
      weight.dims = [16, 3];
      weight.raw = new Uint8Array(transposed.buffer);
      gemm.attributes = new Map();
    });
    expectWeights(readOnnx(bytes), expectedWeights('vit'));
  });

  test('a linear layer without a bias, which gets zeros', () => {
    const bytes = changed('vit-timm-14', (graph) => {
      nodeOf(graph, 'Gemm').inputs = nodeOf(graph, 'Gemm').inputs.slice(0, 2);
    });
    const { data, shape } = readOnnx(bytes).tensors.get('head.bias')!;
    expect({ data, shape }).toEqual({ data: new Uint8Array(12), shape: [3] });
  });

  test('any image size for a Swin; the config then has none', () => {
    const model = readOnnx(exported('any-size'));
    expect(model.config).toEqual({ ...SWIN, image_size: undefined });
    const table = model.tensors.get('layers.1.blocks.1.attn.relative_position_bias_table')!;
    expect(table.shape).toEqual([9, 4]);
    expect(readOnnx(exported('any-size'), { imageSize: 64 })).toEqual({
      ...model,
      config: { ...SWIN, image_size: 64 },
    });
  });

  test('an open image size for a Swin, which is read for the requested size', () => {
    const model = readOnnx(exported('swin-transformers-14-any-size'), { imageSize: 32 });
    expect(model.config).toEqual(SWIN);
    expectWeights(model, expectedWeights('swin'));
  });
});

describe('external weights', () => {
  test('are read from their file', () => {
    const name = 'weights/model.onnx.data';
    const { model, data } = outside('swin-torchvision-18-dynamo', name);
    const { tensors } = readOnnx(model, { externalFiles: new Map([[name, data]]) });
    expectWeights({ tensors }, expectedWeights('swin'));
    expect(externalNames(model, 'model.onnx')).toEqual([name]);
    expect(externalNames(exported('vit-timm-14'), 'model.onnx')).toEqual([]);
    expect(tensors.get('norm.weight')!.data.buffer).toBe(data.buffer);
  });

  test('may belong to constants in the graph', () => {
    const model = changed('vit-timm-14', (graph) => {
      const tensor = { ...graph.initialisers[0]!, external: new Map([['location', 'constants']]) };
      const value = { number: undefined, numbers: [], text: undefined, tensor };
      graph.nodes.push({ ...nodeOf(graph, 'Add'), op: 'Constant', attributes: new Map([['value', value]]) });
    });
    expect(externalNames(model, 'model.onnx')).toEqual(['constants']);
  });
});

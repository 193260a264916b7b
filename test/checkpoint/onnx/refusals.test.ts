import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { externalNames, readOnnx } from '../../../src/checkpoint/onnx/read-onnx.js';
import { Layouts } from '../../../src/checkpoint/onnx/view.js';
import { GraphWeights } from '../../../src/checkpoint/onnx/weights.js';
import { CheckpointError, UsageError } from '../../../src/errors.js';
import { refusal } from '../../support/refusal.js';
import {
  changed,
  consumersOf,
  exported,
  floats,
  insert,
  integers,
  type MutableGraph,
  message,
  nested,
  nodeOf,
  written,
  writtenTensor,
} from './support.js';

/** The error message for a file that must be refused. */
function refused(bytes: Uint8Array, code: string, options = {}): Promise<string> {
  const read = Promise.resolve().then(() => readOnnx(bytes, { file: 'model.onnx', ...options }));
  return refusal(read, CheckpointError, code);
}

/** A node that outputs `zeros` of the shape in its input. */
const SHAPED = { name: 'zeros', op: 'ConstantOfShape', outputs: ['zeros'], attributes: new Map() };

/** The error message for an export whose graph was changed. */
function refusedChange(name: string, code: string, change: (graph: MutableGraph) => void): Promise<string> {
  return refused(changed(name, change), code);
}

describe('other networks are refused', () => {
  test.each<[string, (graph: MutableGraph) => void, RegExp]>([
    [
      'with two heads on the same token',
      (graph) => {
        const [first, second] = graph.nodes.filter(({ op }) => op === 'Gemm');
        second!.inputs = [first!.inputs[0]!, ...second!.inputs.slice(1)];
      },
      /expected a head for each of the first two tokens, found other tokens/,
    ],
    [
      'with its second head on a patch',
      (graph) => {
        const second = graph.nodes.filter(({ op }) => op === 'Gather').at(-1)!;
        graph.initialisers.push({ ...floats('two', [], []), dataType: 7, raw: undefined, numbers: [2] });
        second.inputs = [second.inputs[0]!, 'two'];
      },
      /expected a head for each of the first two tokens, found other tokens/,
    ],
    [
      'that adds a quarter of its heads',
      (graph) => {
        graph.initialisers.push(floats('four', [], [4]));
        const mean = graph.nodes.find(({ outputs }) => outputs[0] === 'logits')!;
        mean.inputs = [mean.inputs[0]!, 'four'];
      },
      /found it scaled by 0\.5/,
    ],
    [
      'with two last LayerNorms for its heads',
      (graph) => {
        const norm = graph.nodes.filter(({ op }) => op === 'LayerNormalization').at(-1)!;
        graph.nodes.push({ ...norm, name: 'other', outputs: ['other'] });
        const second = graph.nodes.filter(({ op }) => op === 'Gather').at(-1)!;
        second.inputs = ['other', ...second.inputs.slice(1)];
      },
      /expected the LayerNorm of the other head as its input, found/,
    ],
    [
      'with three tokens before the patches',
      (graph) => {
        const join = graph.nodes.filter(({ op }) => op === 'Concat').at(-1)!;
        const places = [1, 16, 1].map((n, i) => integers(graph, `place ${i}`, [n]));
        insert(graph, join.inputs[2]!, join, 'Slice', places);
        join.inputs = [join.inputs[0]!, ...join.inputs];
      },
      /expected a class token and perhaps a distillation token before the patches, found 3 tokens in 3 parts/,
    ],
    [
      'without a distillation token',
      (graph) => {
        const join = graph.nodes.filter(({ op }) => op === 'Concat').at(-1)!;
        const patches = join.inputs[2]!;
        join.inputs = [join.inputs[0]!, patches, patches];
        const places = [0, 1, 1].map((n, i) => integers(graph, `place ${i}`, [n]));
        graph.nodes.push({
          ...join,
          name: 'first',
          op: 'Slice',
          inputs: [patches, ...places],
          outputs: ['first'],
        });
        graph.nodes.push({ ...join, name: 'all', inputs: ['first', patches], outputs: ['all'] });
        join.inputs = [join.inputs[0]!, 'all'];
      },
      /expected a distillation token for the second head, found a patch token/,
    ],
  ])('a distilled DeiT %s', async (_, change, expected) => {
    expect(await refusedChange('vit-distilled-timm-17', 'CHECKPOINT_NETWORK', change)).toMatch(expected);
  });

  test('a ViT that averages its tokens', async () => {
    const found = await refused(exported('refused-averaged'), 'CHECKPOINT_NETWORK');
    expect(found).toMatch(
      /^model.onnx: node "\/fc_norm\/LayerNormalization" .*expected a head for the first token/,
    );
  });

  test('LayerScale', async () => {
    const found = await refused(exported('refused-layer-scale'), 'CHECKPOINT_NETWORK');
    expect(found).toMatch(
      /^model.onnx: node "\/blocks\/blocks.0\/ls1\/Mul" \("Mul"\): expected the weight of a LayerNorm.*LayerScale and gates/,
    );
  });

  test('a convolutional network', async () => {
    const found = await refused(exported('refused-convolutions'), 'CHECKPOINT_NETWORK');
    expect(found).toBe(
      'model.onnx: node "/1/Relu" ("Relu"): expected an operator of a ViT, DeiT or Swin, found "Relu"',
    );
  });

  test.each([
    [
      'another activation',
      (graph: MutableGraph) => {
        const gelu = nodeOf(graph, 'Gelu');
        gelu.op = 'Relu';
      },
      /"\/.*act.*" \("Relu"\): expected an operator of a ViT, DeiT or Swin, found "Relu"/,
    ],
    [
      'an operator of another domain',
      (graph: MutableGraph) => {
        nodeOf(graph, 'Gelu').domain = 'com.microsoft';
      },
      /expected an operator of a ViT, DeiT or Swin, found "Gelu" of the domain "com.microsoft"/,
    ],
    [
      'a softmax over another axis',
      (graph: MutableGraph) => {
        const attribute = { number: 1, numbers: [], text: undefined, tensor: undefined };
        nodeOf(graph, 'Softmax').attributes = new Map([['axis', attribute]]);
      },
      /\("Softmax"\): expected the last axis of 4, found axis 1/,
    ],
    [
      'a missing image input',
      (graph: MutableGraph) => {
        graph.inputs[0]!.dims = [undefined, 128];
      },
      /expected one float input \[batch, 3, height, width\], found "pixel_values" \[\?, 128\]/,
    ],
    [
      'a text model',
      (graph: MutableGraph) => {
        graph.inputs[0]!.elementType = 7;
      },
      /expected one float input \[batch, 3, height, width\], found "pixel_values"/,
    ],
    [
      'a batch of several images',
      (graph: MutableGraph) => {
        graph.inputs[0]!.dims = [8, 3, 16, 16];
      },
      /input "pixel_values": expected one square image, found 8 of 16×16/,
    ],
    [
      'several outputs',
      (graph: MutableGraph) => {
        graph.outputs[0]!.name = 'a';
        graph.outputs.push({ ...graph.outputs[0]!, name: 'b' });
      },
      /expected one output, or one named "logits", found "a" \[.*\], "b" \[.*\]/,
    ],
    [
      'features instead of logits',
      (graph: MutableGraph) => {
        const gemm = nodeOf(graph, 'Gemm');
        graph.outputs[0]!.name = gemm.inputs[0]!;
      },
      /expected the whole output of a linear classifier, or the mean of two, found the output of node .*\("LayerNormalization"\)/,
    ],
  ])('%s', async (_, change, expected) => {
    expect(await refusedChange('vit-transformers-20-any-size', 'CHECKPOINT_NETWORK', change)).toMatch(
      expected,
    );
  });

  test.each([
    ['QuantizeLinear', ''],
    ['DynamicQuantizeLinear', ''],
    ['MatMulInteger', ''],
    ['QLinearMatMul', ''],
    ['QAttention', 'com.microsoft'],
    ['MatMulNBits', 'com.microsoft'],
  ])('a quantised graph: %s', async (op, domain) => {
    const found = await refusedChange('vit-timm-14', 'CHECKPOINT_QUANTISED', (graph) => {
      const node = nodeOf(graph, 'MatMul');
      node.op = op;
      node.domain = domain;
    });
    expect(found).toMatch(
      new RegExp(`node ".*" \\("${op}"\\): expected a float model, found a quantised model`),
    );
  });
});

describe('a graph that is almost a ViT is refused with', () => {
  test('a GELU of another input', async () => {
    const found = await refusedChange('vit-timm-14', 'CHECKPOINT_NETWORK', (graph) => {
      const [input] = nodeOf(graph, 'Erf').inputs;
      const before = graph.nodes.find(({ outputs }) => outputs[0] === input)!;
      graph.initialisers.push(floats('two', [], [2]));
      before.inputs = [before.inputs[0]!, 'two'];
    });
    expect(found).toMatch(/expected the error function of x \/ √2 \(GELU\), found that of 0.5 x/);
  });

  test('scores scaled by another number', async () => {
    const found = await refusedChange('vit-transformers-11', 'CHECKPOINT_NETWORK', (graph) => {
      const scores = nodeOf(graph, 'Softmax').inputs[0];
      const scale = graph.nodes.find(({ outputs }) => outputs[0] === scores)!;
      scale.inputs = [scale.inputs[0]!, 'half'];
      graph.initialisers.push(floats('half', [], [0.5]));
    });
    expect(found).toMatch(/\("MatMul"\): expected scores scaled by 1 \/ √8 = 0.353.*, found 0.5/);
  });

  test('a residual that is the output of the LayerNorm', async () => {
    const found = await refusedChange('vit-timm-17-f16', 'CHECKPOINT_NETWORK', (graph) => {
      const norm = nodeOf(graph, 'LayerNormalization');
      const [stream] = norm.inputs;
      const sum = graph.nodes.find(({ op, inputs }) => op === 'Add' && inputs.includes(stream!))!;
      sum.inputs = sum.inputs.map((name) => (name === stream ? norm.outputs[0]! : name));
    });
    expect(found).toMatch(/expected the residual as its input, found/);
  });

  test('query and value swapped', async () => {
    const found = await refusedChange('vit-timm-17-f16', 'CHECKPOINT_NETWORK', (graph) => {
      const split = nodeOf(graph, 'Split');
      const [q, k, v] = split.outputs as [string, string, string];
      split.outputs = [v, k, q];
    });
    expect(found).toMatch(
      /expected its output as 1 groups × 2 heads × 17 tokens × 8 channels, in the order query, key, value/,
    );
  });

  test('heads concatenated in another order', async () => {
    const found = await refusedChange('vit-timm-17-f16', 'CHECKPOINT_NETWORK', (graph) => {
      const softmax = nodeOf(graph, 'Softmax').outputs[0]!;
      const product = graph.nodes.find(({ inputs }) => inputs[0] === softmax)!;
      const transpose = graph.nodes.find(({ inputs }) => inputs[0] === product.outputs[0])!;
      const perm = { number: undefined, numbers: [0, 2, 3, 1], text: undefined, tensor: undefined };
      transpose.attributes = new Map([['perm', perm]]);
    });
    expect(found).toMatch(/expected 2 concatenated heads as its input, found .* in another order/);
  });

  test('a LayerNorm with another epsilon', async () => {
    const found = await refusedChange('vit-timm-17-f16', 'CHECKPOINT_NETWORK', (graph) => {
      const attribute = { number: 1e-3, numbers: [], text: undefined, tensor: undefined };
      const norm = nodeOf(graph, 'LayerNormalization');
      norm.attributes = new Map([...norm.attributes, ['epsilon', attribute]]);
    });
    expect(found).toMatch(/norm1: expected the epsilon 0.000001, as in other layers, found 0.001/);
  });

  test('a head on another token than the first', async () => {
    const found = await refusedChange('vit-timm-14', 'CHECKPOINT_NETWORK', (graph) => {
      const gather = nodeOf(graph, 'Gather');
      gather.inputs = [gather.inputs[0]!, 'one'];
      graph.initialisers.push({ ...floats('one', [], []), dataType: 7, raw: undefined, numbers: [1] });
    });
    expect(found).toMatch(/expected a head for the first token \(the class token\), found other tokens/);
  });

  test('overlapping patches', async () => {
    const found = await refusedChange('vit-timm-14', 'CHECKPOINT_NETWORK', (graph) => {
      const conv = nodeOf(graph, 'Conv');
      const strides = { number: undefined, numbers: [2, 2], text: undefined, tensor: undefined };
      conv.attributes = new Map([...conv.attributes, ['strides', strides]]);
    });
    expect(found).toMatch(
      /expected the convolution of a patch embedding.*found a weight \[16, 3, 4, 4\] with strides \[2, 2\]/,
    );
  });

  /**
   * The two LayerNorms of the first block, its two residual sums, and the outputs of its branches.
   */
  const firstBlock = (graph: MutableGraph) => {
    const [norm1, norm2] = graph.nodes.filter(({ op }) => op === 'LayerNormalization') as [Node, Node];
    const stream = norm1.inputs[0]!;
    const middle = norm2.inputs[0]!;
    const sumOf = (value: string) => consumersOf(graph, value).find(({ op }) => op === 'Add')!;
    const branchOf = (sum: Node, rest: string) => sum.inputs.find((name) => name !== rest)!;
    const [attended, mixed] = [sumOf(stream), sumOf(middle)];
    return {
      norm1,
      norm2,
      attended,
      mixed,
      proj: branchOf(attended, stream),
      fc2: branchOf(mixed, middle),
    };
  };
  type Node = ReturnType<typeof nodeOf>;

  test.each(['attended', 'mixed'] as const)('tokens added to other tokens: %s', async (which) => {
    const found = await refusedChange('vit-timm-17-f16', 'CHECKPOINT_NETWORK', (graph) => {
      const { proj, fc2, ...sums } = firstBlock(graph);
      const backwards = Array.from({ length: 17 }, (_, i) => 16 - i);
      const value = which === 'attended' ? proj : fc2;
      insert(graph, value, sums[which], 'Gather', [integers(graph, 'backwards', backwards)], { axis: 1 });
    });
    expect(found).toMatch(/expected each token to be added to itself, found another order/);
  });

  test('channels in another order', async () => {
    const found = await refusedChange('vit-timm-17-f16', 'CHECKPOINT_NETWORK', (graph) => {
      const { norm2 } = firstBlock(graph);
      const [linear] = consumersOf(graph, norm2.outputs[0]!) as [Node];
      const backwards = Array.from({ length: 16 }, (_, i) => 15 - i);
      insert(graph, norm2.outputs[0]!, linear, 'Gather', [integers(graph, 'backwards', backwards)], {
        axis: 2,
      });
    });
    expect(found).toMatch(/expected rows of 16 channels of .*, found its elements in another order/);
  });

  test('channels of the query in another order', async () => {
    const found = await refusedChange('vit-timm-17-f16', 'CHECKPOINT_NETWORK', (graph) => {
      const query = graph.nodes.find(({ op }) => op === 'Squeeze')!.outputs[0]!;
      const [scaled] = consumersOf(graph, query).filter(({ op }) => op === 'Mul') as [Node];
      const order = integers(graph, 'order', [0, 1, 2, 3, 4, 5, 7, 6]);
      insert(graph, query, scaled, 'Gather', [order], { axis: 3 });
    });
    expect(found).toMatch(/expected its output as 1 groups × 2 heads × 17 tokens × 8 channels/);
  });

  test('a scaled output of a layer', async () => {
    const found = await refusedChange('vit-timm-17-f16', 'CHECKPOINT_NETWORK', (graph) => {
      const { fc2, mixed } = firstBlock(graph);
      graph.initialisers.push(floats('two', [], [2]));
      insert(graph, fc2, mixed, 'Mul', ['two']);
    });
    expect(found).toMatch(/expected the output of node .* unscaled, found it scaled by 2/);
  });

  test('a bias added to the scores', async () => {
    const found = await refusedChange('vit-timm-17-f16', 'CHECKPOINT_NETWORK', (graph) => {
      const softmax = nodeOf(graph, 'Softmax');
      graph.initialisers.push(floats('bias', [17], Array(17).fill(0.5)));
      insert(graph, softmax.inputs[0]!, softmax, 'Add', ['bias']);
    });
    expect(found).toMatch(/expected scores without a bias, as in a ViT, found a bias/);
  });

  test('a softmax over all heads at once', async () => {
    const found = await refusedChange('vit-timm-17-f16', 'CHECKPOINT_NETWORK', (graph) => {
      const softmax = nodeOf(graph, 'Softmax');
      const [product] = consumersOf(graph, softmax.outputs[0]!) as [Node];
      insert(graph, softmax.inputs[0]!, softmax, 'Reshape', [
        integers(graph, 'flat', [1, 1, 1, 2 * 17 * 17]),
      ]);
      insert(graph, softmax.outputs[0]!, product, 'Reshape', [integers(graph, 'square', [1, 2, 17, 17])]);
    });
    expect(found).toMatch(/expected the whole softmax over 17 tokens, found a part of it or another order/);
  });

  test('a LayerNorm that subtracts another mean', async () => {
    const found = await refusedChange('vit-timm-14', 'CHECKPOINT_NETWORK', (graph) => {
      const mean = nodeOf(graph, 'ReduceMean');
      const sum = graph.nodes.find(({ outputs }) => outputs[0] === mean.inputs[0])!;
      mean.inputs = [sum.inputs[0]!];
    });
    expect(found).toMatch(/\("Sub"\): expected a LayerNorm, which subtracts the mean of the channels, found/);
  });

  test('a GELU of one input times another', async () => {
    const found = await refusedChange('vit-timm-14', 'CHECKPOINT_NETWORK', (graph) => {
      const plus = consumersOf(graph, nodeOf(graph, 'Erf').outputs[0]!)[0]!;
      const times = consumersOf(graph, plus.outputs[0]!)[0]!;
      const sum = graph.nodes.find(({ outputs }) => outputs[0] === times.inputs[0])!;
      const product = sum.inputs.find((name) =>
        graph.nodes.some(({ op, outputs }) => op === 'MatMul' && outputs[0] === name),
      )!;
      times.inputs = [product, times.inputs[1]!];
    });
    expect(found).toMatch(/\("Mul"\): expected factors of a GELU or LayerNorm, found/);
  });

  test('a choice that depends on the image', async () => {
    const found = await refusedChange('vit-transformers-18-sdpa-dynamo', 'CHECKPOINT_NETWORK', (graph) => {
      const test = nodeOf(graph, 'IsNaN');
      test.inputs = [nodeOf(graph, 'Softmax').inputs[0]!];
    });
    expect(found).toMatch(/\("Where"\): expected a choice between constants, found one by/);
  });

  test('dropout, exported for training', async () => {
    const found = await refusedChange('vit-timm-17-f16', 'CHECKPOINT_NETWORK', (graph) => {
      const { fc2, mixed } = firstBlock(graph);
      graph.initialisers.push(floats('ratio', [], [0.5]));
      insert(graph, fc2, mixed, 'Dropout', ['ratio', integers(graph, 'training', [1])]);
    });
    expect(found).toMatch(/\("Dropout"\): expected a model exported for inference, found one for training/);
  });

  test('a LayerNorm with one weight for all channels', async () => {
    const found = await refusedChange('vit-timm-17-f16', 'CHECKPOINT_GRAPH', (graph) => {
      const { norm1 } = firstBlock(graph);
      norm1.inputs = [norm1.inputs[0]!, 'one', norm1.inputs[2]!];
      graph.initialisers.push(floats('one', [1], [1]));
    });
    expect(found).toMatch(/expected one weight per channel, found \[1, 17, 16\] and \[1\]/);
  });

  test.each(['Reshape', 'Expand', 'Slice', 'Unsqueeze', 'Squeeze', 'ReduceMean'])(
    '%s with millions of axes in a few bytes',
    async (op) => {
      const found = await refusedChange('vit-timm-17-f16', 'CHECKPOINT_GRAPH', (graph) => {
        const { fc2, mixed } = firstBlock(graph);
        graph.nodes.push({
          ...nodeOf(graph, 'Add'),
          ...SHAPED,
          inputs: [integers(graph, 'many', [33_000_000])],
        });
        insert(graph, fc2, mixed, op, ['zeros', 'zeros']);
      });
      expect(found).toMatch(/expected at most 64 sizes or axes, found 33000000/);
    },
  );

  test('trillions of concatenated empty rows', async () => {
    const start = performance.now();
    await refusedChange('vit-timm-17-f16', 'CHECKPOINT_GRAPH', (graph) => {
      const { fc2, mixed } = firstBlock(graph);
      const shape = integers(graph, 'rows', [2 ** 40, 0]);
      graph.nodes.push({ ...nodeOf(graph, 'Add'), ...SHAPED, inputs: [shape] });
      const axis = { number: 1, numbers: [], text: undefined, tensor: undefined };
      const side = { ...SHAPED, name: 'side', op: 'Concat', attributes: new Map([['axis', axis]]) };
      graph.nodes.push({ ...nodeOf(graph, 'Add'), ...side, inputs: ['zeros', 'zeros'], outputs: ['side'] });
      insert(graph, fc2, mixed, 'Add', ['side']);
    });
    expect(performance.now() - start).toBeLessThan(20_000);
  });

  test('more axes than any tensor has', async () => {
    const found = await refusedChange('vit-timm-17-f16', 'CHECKPOINT_GRAPH', (graph) => {
      const { fc2, mixed } = firstBlock(graph);
      insert(graph, fc2, mixed, 'Reshape', [integers(graph, 'deep', [...Array(62).fill(1), 1, 17, 16])]);
    });
    expect(found).toMatch(/expected at most 64 sizes or axes, found 65/);
  });
});

describe('a graph that is almost a Swin is refused with', () => {
  /** The constant that a shifted block adds before its softmax. */
  const addedTo = (graph: MutableGraph, size: number) =>
    graph.initialisers.find(({ dims }) => dims.reduce((product, n) => product * n, 1) === size)!;
  const changeFloat = (graph: MutableGraph, size: number, at: number, value: number) => {
    const tensor = addedTo(graph, size);
    const raw = new Uint8Array(tensor.raw!);
    new DataView(raw.buffer).setFloat32(4 * at, value, true);
    tensor.raw = raw;
  };

  test('different biases for the same offset', async () => {
    // [1, 2 heads, 16, 16]: tokens 0 and 1 have the same offset as tokens 1 and 2
    const found = await refusedChange('swin-timm-20-dynamo', 'CHECKPOINT_NETWORK', (graph) =>
      changeFloat(graph, 2 * 16 * 16, 17 + 1, 7),
    );
    expect(found).toMatch(
      /expected tokens 1 and 2 of window 0 to have the bias of their offset, .*, found 7 \(head 0\)/,
    );
  });

  test('a mask that masks too much or too little', async () => {
    const mask = (at: number, value: number) =>
      refusedChange('swin-timm-20-dynamo', 'CHECKPOINT_NETWORK', (graph) =>
        changeFloat(graph, 4 * 16 * 16, at, value),
      );
    expect(await mask(1, -100)).toMatch(
      /expected tokens \d+ and \d+ of window 0 to have the bias of their offset/,
    );
    // tokens 0 and 2 of the second window, which is at the right edge
    expect(await mask(256 + 2, 0)).toMatch(
      /expected tokens 0 and 2 of window 1 to be masked, .* - 100, found/,
    );
  });

  test('a map shifted by another number of tokens', async () => {
    const found = await refusedChange('swin-timm-20-dynamo', 'CHECKPOINT_NETWORK', (graph) => {
      const numberOf = (name: string | undefined) => {
        const { raw, dataType } = graph.initialisers.find((tensor) => tensor.name === name) ?? {};
        return raw?.length === 8 && dataType === 7
          ? Number(new DataView(raw.slice().buffer).getBigInt64(0, true))
          : NaN;
      };
      const one = { ...floats('one', [1], []), dataType: 7, raw: undefined };
      graph.initialisers.push({ ...one, numbers: [1] }, { ...one, name: 'seven', numbers: [7] });
      // the 8×8 map is cut after 2 rows and columns, and after 6 to shift it back
      const moved = new Map([
        ['0,2', ['', 'one']],
        ['2,8', ['one', '']],
        ['0,6', ['', 'seven']],
        ['6,8', ['seven', '']],
      ]);
      for (const node of graph.nodes) {
        if (node.op !== 'Slice') continue;
        const [data, start, end, ...others] = node.inputs as [string, string, string];
        const [newStart, newEnd] = moved.get(`${numberOf(start)},${numberOf(end)}`) ?? [];
        node.inputs = [data, newStart || start, newEnd || end, ...others];
      }
    });
    expect(found).toMatch(/expected a shift of half a window of 4 tokens, found 1/);
  });

  test('windows in column order', async () => {
    const found = await refusedChange('swin-timm-20-dynamo', 'CHECKPOINT_NETWORK', (graph) => {
      // norm1 of the first block is the second LayerNorm; the branch is transposed back at the end
      const norm = graph.nodes.filter(({ op }) => op === 'LayerNormalization')[1]!;
      const [stream, turn] = [norm.inputs[0]!, { perm: [0, 2, 1, 3] }];
      const sum = consumersOf(graph, stream).find(({ op }) => op === 'Add')!;
      insert(graph, sum.inputs.find((name) => name !== stream)!, sum, 'Transpose', [], turn);
      for (const consumer of consumersOf(graph, norm.outputs[0]!))
        insert(graph, norm.outputs[0]!, consumer, 'Transpose', [], turn);
    });
    expect(found).toMatch(
      /expected windows of 4×4 tokens, shifted by 0, with token 1 at place 1, found token 8/,
    );
  });

  test('a padded map', async () => {
    const found = await refusedChange('swin-timm-20-dynamo', 'CHECKPOINT_NETWORK', (graph) => {
      const pad = nodeOf(graph, 'Pad');
      pad.inputs = [pad.inputs[0]!, integers(graph, 'pads', [0, 0, 0, 0, 0, 1, 1, 0])];
    });
    expect(found).toMatch(
      /expected no padding, since windows must fit the map, found \[0, 0, 0, 0, 0, 1, 1, 0\]/,
    );
  });

  test('patches merged in row order', async () => {
    const found = await refusedChange('swin-transformers-17-f16', 'CHECKPOINT_NETWORK', (graph) => {
      const concat = graph.nodes.find(
        ({ op, inputs }) => op === 'Concat' && inputs.length === 4 && inputs[0]!.includes('Slice'),
      )!;
      const [a, b, c, d] = concat.inputs as [string, string, string, string];
      concat.inputs = [a, c, b, d];
    });
    expect(found).toMatch(/expected the concatenated channels of 2×2 neighbours, column by column/);
  });

  test('a hint to pass the image size if the graph has none', async () => {
    const found = await refused(exported('swin-transformers-14-any-size'), 'CHECKPOINT_NETWORK');
    expect(found).toMatch(
      /the graph has no image size and was read for 224: pass the size that it was exported for\)$/,
    );
  });
});

describe('a damaged file is refused', () => {
  test('if it is not bytes', async () => {
    const read = Promise.resolve().then(() => readOnnx('model.onnx' as never));
    expect(await refusal(read, UsageError, 'BYTES')).toMatch(/expected the bytes of a file/);
  });

  test.each([
    ['an empty file', new Uint8Array(0)],
    ['a model without a graph', message((writer) => writer.tag(1, 0).int32(8))],
    ['a text', new TextEncoder().encode('version https://git-lfs.github.com/spec/v1')],
    [
      'a model with two graphs',
      message((writer) => {
        for (const field of [7, 7]) nested(writer, field, new Uint8Array(0));
      }),
    ],
    ['a length of 4 GB', Uint8Array.of(0x3a, 0xff, 0xff, 0xff, 0xff, 0x0f)],
    ['nested groups', new Uint8Array(100_000).fill(0x0b)],
    ['a varint without an end', new Uint8Array(100).fill(0xff)],
  ])('if it is %s', async (_, bytes) => {
    expect(await refused(bytes, 'CHECKPOINT_FORMAT')).toMatch(/^model.onnx: (not an ONNX model: )?expected/);
  });

  test('if it has more nodes than any model', async () => {
    const graph = new Uint8Array(2 * 50_001);
    for (let i = 0; i < graph.length; i += 2) graph[i] = 0x0a;
    const bytes = message((writer) => nested(writer, 7, graph));
    expect(await refused(bytes, 'CHECKPOINT_FORMAT')).toMatch(/expected at most 50000 nodes and tensors/);
  });

  test.each([
    [
      'cycle',
      (graph: MutableGraph) => {
        const norm = nodeOf(graph, 'LayerNormalization');
        norm.inputs = [norm.outputs[0]!, ...norm.inputs.slice(1)];
      },
      /\("LayerNormalization"\): expected no cycle, found one through/,
    ],
    [
      'value from two nodes',
      (graph: MutableGraph) => {
        graph.nodes.push({ ...nodeOf(graph, 'Softmax') });
      },
      /expected one node or tensor that produces ".*", found two/,
    ],
    [
      'value without a source',
      (graph: MutableGraph) => {
        nodeOf(graph, 'Softmax').inputs = ['nowhere'];
      },
      /expected a node or tensor that produces "nowhere", found none/,
    ],
    [
      'node that produces the image',
      (graph: MutableGraph) => {
        nodeOf(graph, 'Softmax').outputs = ['pixel_values'];
      },
      /expected one node or tensor that produces "pixel_values", found two/,
    ],
    [
      'output that an operator does not have',
      (graph: MutableGraph) => {
        const softmax = nodeOf(graph, 'Softmax');
        softmax.outputs = ['other', softmax.outputs[0]!];
      },
      /.*/,
    ],
    [
      'shape of another size',
      (graph: MutableGraph) => {
        const reshape = nodeOf(graph, 'Reshape');
        reshape.inputs = [reshape.inputs[0]!, 'shape'];
        graph.initialisers.push({
          ...floats('shape', [2], []),
          dataType: 7,
          raw: undefined,
          numbers: [5, 2 ** 40],
        });
      },
      /\("Reshape"\): expected .*, found \[5, 1099511627776\]/,
    ],
  ])('if it has a %s', async (what, change, expected) => {
    const code = what.startsWith('output') ? 'CHECKPOINT_NETWORK' : 'CHECKPOINT_GRAPH';
    expect(await refusedChange('vit-timm-17-f16', code, change)).toMatch(expected);
  });

  test('if it rearranges too many elements', async () => {
    const found = await refusedChange('vit-timm-14', 'CHECKPOINT_GRAPH', (graph) => {
      const attributes = new Map([
        ['perm', { number: undefined, numbers: [1, 0], text: undefined, tensor: undefined }],
      ]);
      const none = { file: '', name: '', domain: '', attributes: new Map() };
      const shape = { ...floats('', [2], []), dataType: 7, raw: undefined };
      graph.initialisers.push({ ...shape, name: 'narrow', numbers: [2, 2 ** 24] });
      graph.initialisers.push({ ...shape, name: 'wide', numbers: [2 ** 24, 2] });
      graph.nodes.push({ ...none, op: 'ConstantOfShape', inputs: ['narrow'], outputs: ['v0'] });
      for (let i = 0; i < 100; i++) {
        graph.nodes.push({
          ...none,
          op: 'Transpose',
          inputs: [`v${2 * i}`],
          outputs: [`v${2 * i + 1}`],
          attributes,
        });
        graph.nodes.push({
          ...none,
          op: 'Reshape',
          inputs: [`v${2 * i + 1}`, 'narrow'],
          outputs: [`v${2 * i + 2}`],
        });
      }
      nodeOf(graph, 'Gemm').inputs = [nodeOf(graph, 'Gemm').inputs[0]!, 'v200'];
      graph.nodes = graph.nodes.map((node) =>
        node.op === 'ConstantOfShape' && node.outputs[0] === 'v0'
          ? { ...node, op: 'Expand', inputs: ['few', 'narrow'] }
          : node,
      );
      graph.initialisers.push(floats('few', [2, 1], [1, 2]));
    });
    expect(found).toMatch(
      /expected a graph that rearranges about as many elements as a ViT or Swin of its size/,
    );
  });
});

describe('tensors are refused with', () => {
  const withTensor =
    (change: (tensor: MutableGraph['initialisers'][number]) => void) => (graph: MutableGraph) =>
      change(graph.initialisers.find(({ dims }) => dims.length === 3)!);

  test.each([
    [
      'too little data',
      withTensor((tensor) => {
        tensor.raw = tensor.raw!.subarray(4);
      }),
      /expected \d+ bytes for FLOAT \[1,.*\], found \d+/,
    ],
    [
      'no data',
      withTensor((tensor) => {
        tensor.raw = undefined;
      }),
      /expected \d+ bytes for FLOAT \[.*\], found 0/,
    ],
    [
      'a negative dimension',
      withTensor((tensor) => {
        tensor.dims = [1, -1, 16];
      }),
      /expected non-negative dimensions, found \[1,-1,16\]/,
    ],
    [
      'dimensions that overflow',
      withTensor((tensor) => {
        tensor.dims = [2 ** 40, 2 ** 40, 0];
      }),
      /.*/,
    ],
    [
      'a product that overflows',
      withTensor((tensor) => {
        tensor.dims = [2 ** 30, 2 ** 30, 16];
      }),
      /expected less than 2\^53 bytes, found the shape/,
    ],
    [
      'another type',
      withTensor((tensor) => {
        tensor.dataType = 14;
      }),
      /expected a data type from FLOAT, .*, found number 14/,
    ],
  ])('%s', async (_, change, expected) => {
    const found = await refusedChange('vit-timm-14', 'CHECKPOINT_TENSOR', change);
    expect(found).toMatch(/^model.onnx: tensor ".*": expected/);
    expect(found).toMatch(expected);
  });

  test('too many dimensions or duplicate data', async () => {
    const tensor = (bytes: Uint8Array) =>
      message((writer) =>
        nested(
          writer,
          7,
          message((graph) => nested(graph, 5, bytes)),
        ),
      );
    const deep = { ...floats('deep', Array(65).fill(1), [1]) };
    expect(await refused(tensor(writtenTensor(deep)), 'CHECKPOINT_FORMAT')).toMatch(/at most 64 dimensions/);
    const once = writtenTensor(floats('twice', [1], [1]));
    const twice = new Uint8Array(2 * once.length);
    twice.set(once);
    twice.set(once, once.length);
    expect(await refused(tensor(twice), 'CHECKPOINT_FORMAT')).toMatch(/in one piece, found a second/);
  });

  test('more copies than the file has weights', () => {
    const weights = new GraphWeights(new Layouts('model.onnx'), 'model.onnx', 100);
    weights.floats(new Float64Array(2 ** 22), [2 ** 22]);
    expect(() => weights.floats(new Float64Array(51), [51])).toThrow(
      'model.onnx: expected each weight to be used once, found layers that share them',
    );
  });
});

describe('an external data file', () => {
  const outside = (place: Record<string, string>) =>
    changed('vit-timm-17-f16', (graph) => {
      const tensor = graph.initialisers.find(({ dims }) => dims.length === 3)!;
      tensor.raw = undefined;
      tensor.external = new Map(Object.entries(place));
    });

  test('is named in the error if it is missing', async () => {
    expect(await refused(outside({ location: 'model.onnx.data' }), 'CHECKPOINT_EXTERNAL')).toMatch(
      /tensor ".*": expected the file "model.onnx.data" with its data next to the model, found none/,
    );
  });

  test.each(['../model.data', '/etc/passwd', 'a/../../b', 'C:\\data', '..', '', 'a//b', 'a\0b'])(
    'must be inside the folder of the model: %j',
    async (location) => {
      const externalFiles = new Map([[location, new Uint8Array(1000)]]);
      const found = await refused(outside({ location }), 'CHECKPOINT_EXTERNAL', { externalFiles });
      expect(found).toMatch(/expected its data in the folder of the model, found the path/);
      expect(() => externalNames(outside({ location }), 'model.onnx')).toThrow(found);
    },
  );

  test('must be long enough for the tensor', async () => {
    const externalFiles = new Map([['data', new Uint8Array(100)]]);
    const place = (offset: string, length: string) =>
      refused(outside({ location: 'data', offset, length }), 'CHECKPOINT_EXTERNAL', { externalFiles });
    expect(await place('90', '20')).toMatch(/expected 20 bytes at offset 90 of "data", found only 100 bytes/);
    expect(await place('-1', '20')).toMatch(/offset: expected a number, found "-1"/);
    expect(await refused(outside({ location: 'data' }), 'CHECKPOINT_TENSOR', { externalFiles })).toMatch(
      /expected \d+ bytes for FLOAT16 .*, found 100/,
    );
  });
});

describe('hostile files are read or refused', () => {
  /** The file must be read or refused with a CheckpointError. */
  const endsWell = (bytes: Uint8Array) => {
    try {
      readOnnx(bytes);
    } catch (error) {
      if (!(error instanceof CheckpointError)) throw error;
    }
  };

  test('if random bytes are overwritten', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), endsWell), { numRuns: 2000 });
  });

  const vit = exported('vit-timm-23-dynamo');

  test('with some bytes of a model changed', () => {
    const edits = fc.array(fc.tuple(fc.nat(vit.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(edits, (list) => {
        const bytes = vit.slice();
        for (const [at, value] of list) bytes[at] = value;
        endsWell(bytes);
      }),
      { numRuns: 300 },
    );
  });

  test('truncated anywhere', () => {
    fc.assert(
      fc.property(fc.nat(vit.length - 1), (length) => {
        expect(() => readOnnx(vit.subarray(0, length))).toThrow(CheckpointError);
      }),
      { numRuns: 100 },
    );
  });

  test('with any part of the graph changed', () => {
    const graphs = ['vit-timm-14', 'vit-torchvision-18-dynamo', 'swin-timm-20-dynamo'].map((name) => {
      let graph: MutableGraph | undefined;
      changed(name, (found) => {
        graph = found;
      });
      return graph!;
    });
    const integers = fc.oneof(
      fc.integer({ min: -4, max: 40 }),
      fc.constantFrom(2 ** 31, -(2 ** 31), 2 ** 53, -(2 ** 53)),
    );
    const edit = fc.record({
      graph: fc.nat(2),
      node: fc.nat(),
      other: fc.nat(),
      numbers: fc.array(integers, { maxLength: 5 }),
      kind: fc.constantFrom('input', 'shape', 'operator', 'attributes', 'dropped'),
    });
    fc.assert(
      fc.property(edit, ({ graph: which, node: at, other, numbers, kind }) => {
        const graph = structuredClone(graphs[which]!);
        const node = graph.nodes[at % graph.nodes.length]!;
        const second = graph.nodes[other % graph.nodes.length]!;
        const place = other % Math.max(1, node.inputs.length);
        const replaced = (name: string) => node.inputs.map((old, i) => (i === place ? name : old));
        if (kind === 'input') node.inputs = replaced(second.outputs[0]!);
        else if (kind === 'operator') node.op = second.op;
        else if (kind === 'dropped') node.inputs = node.inputs.slice(0, place);
        else if (kind === 'attributes') {
          node.attributes = new Map(
            [...node.attributes].map(([key, value]) => [key, { ...value, number: numbers[0], numbers }]),
          );
        } else {
          const shape = { ...floats('new', [numbers.length], []), dataType: 7, raw: undefined, numbers };
          graph.initialisers.push(shape);
          node.inputs = replaced('new');
        }
        endsWell(written(graph));
      }),
      { numRuns: 150 },
    );
  });
});

import { describe, expect, test } from '@jest/globals';
import { type FloatModelOptions, readFloatModel } from '../../../src/checkpoint/float/model.js';
import { type Tensor, writeSafetensors } from '../../../src/checkpoint/safetensors/safetensors.js';
import { asFloat32 } from '../../../src/checkpoint/safetensors/typed-views.js';
import { renamed, VIT_RENAMINGS } from '../renamed.js';
import { TINY, tinyShapes, zeros } from '../tiny-float.js';

const { dim: C, classes: K, grid } = TINY;
const PATCHES = grid * grid;

/** A tiny ViT whose numbers are all different, with shapes changed by `change`. */
function variant(change: (shapes: Map<string, number[]>) => void): Tensor[] {
  const shapes = tinyShapes();
  change(shapes);
  let next = 0;
  return zeros(shapes, 'F32', ({ data }) => {
    const values = new Float32Array(data.buffer);
    for (let i = 0; i < values.length; i++) values[i] = 1 + next++ / 1024;
  });
}

function read(tensors: Tensor[], config: Record<string, unknown> = {}, options: FloatModelOptions = {}) {
  return readFloatModel(writeSafetensors(tensors, {}), { config: { num_heads: 2, ...config }, ...options });
}

/** The numbers of a tensor. */
const values = (tensors: readonly Tensor[], name: string) => [
  ...asFloat32(tensors.find((tensor) => tensor.name === name)!),
];

describe('merging separately stored tensors', () => {
  test('keeps the arrays of a file that needs no merging', () => {
    const tensors = variant(() => {});
    const model = read(tensors);
    for (const { name } of tensors) expect([...model.tensors.get(name)!.data]).toEqual(values(tensors, name));
    expect(model.architecture).not.toHaveProperty('prefix');
    expect(model.architecture).not.toHaveProperty('pool');
  });

  test('multiplies LayerScale into the layers before it', () => {
    const tensors = variant((shapes) => {
      for (const n of [0, 1]) for (const i of [1, 2]) shapes.set(`blocks.${n}.ls${i}.gamma`, [C]);
    });
    const model = read(tensors);
    expect([...model.tensors.keys()]).toEqual([...tinyShapes().keys()]);
    for (const [layer, scale] of [
      ['attn.proj', 'ls1'],
      ['mlp.fc2', 'ls2'],
    ]) {
      const gamma = values(tensors, `blocks.1.${scale}.gamma`);
      for (const parameter of ['weight', 'bias']) {
        const name = `blocks.1.${layer}.${parameter}`;
        const before = values(tensors, name);
        const width = before.length / C;
        const expected = before.map((w, i) => Math.fround(w * gamma[Math.floor(i / width)]!));
        expect([...model.tensors.get(name)!.data]).toEqual(expected);
      }
    }
  });

  test('gives a qkv layer without a bias a bias of zeros', () => {
    const tensors = variant((shapes) => {
      for (const n of [0, 1]) shapes.delete(`blocks.${n}.attn.qkv.bias`);
    });
    const model = read(tensors);
    expect([...model.tensors.keys()]).toEqual([...tinyShapes().keys()]);
    expect(model.tensors.get('blocks.1.attn.qkv.bias')).toEqual({
      shape: [3 * C],
      data: new Float32Array(3 * C),
    });
  });

  test('merges the class and distillation tokens and the two heads', () => {
    const tensors = variant((shapes) =>
      shapes
        .set('dist_token', [1, 1, C])
        .set('pos_embed', [1, 2 + PATCHES, C])
        .set('head_dist.weight', [K, C])
        .set('head_dist.bias', [K]),
    );
    const { architecture, tensors: found } = read(tensors);
    expect(architecture).toMatchObject({ prefix: 2, pool: 'two-tokens', imageSize: 8, classes: K });
    expect(found.get('cls_token')).toEqual({
      shape: [1, 2, C],
      data: Float32Array.from([...values(tensors, 'cls_token'), ...values(tensors, 'dist_token')]),
    });
    const { shape, data } = found.get('head.weight')!;
    expect(shape).toEqual([K, 2 * C]);
    const [first, second] = [values(tensors, 'head.weight'), values(tensors, 'head_dist.weight')];
    for (let k = 0; k < K; k++) {
      const halves = [first, second].flatMap((w) => w.slice(k * C, (k + 1) * C).map((x) => x / 2));
      expect([...data.subarray(2 * k * C, 2 * (k + 1) * C)]).toEqual(halves);
    }
    const biases = values(tensors, 'head_dist.bias');
    expect([...found.get('head.bias')!.data]).toEqual(
      values(tensors, 'head.bias').map((b, k) => Math.fround((b + biases[k]!) / 2)),
    );
    const hub = read(renamed(tensors, VIT_RENAMINGS['Hugging Face DeiT']));
    expect([...hub.tensors]).toEqual([...found]);
  });

  test('merges query, key and value without biases', () => {
    const tensors = renamed(
      variant((shapes) => {
        for (const n of [0, 1]) shapes.delete(`blocks.${n}.attn.qkv.bias`);
      }),
      VIT_RENAMINGS['Hugging Face ViT'],
    );
    const { tensors: found } = read(tensors);
    expect([...found.get('blocks.0.attn.qkv.bias')!.data]).toEqual(new Array(3 * C).fill(0));
  });

  test('merges the biases of query and value without a key bias (EVA)', () => {
    const tensors = variant((shapes) => {
      for (const n of [0, 1]) {
        shapes.delete(`blocks.${n}.attn.qkv.bias`);
        shapes.set(`blocks.${n}.attn.q_bias`, [C]).set(`blocks.${n}.attn.v_bias`, [C]);
      }
    });
    const { tensors: found } = read(tensors);
    expect([...found.get('blocks.1.attn.qkv.bias')!.data]).toEqual([
      ...values(tensors, 'blocks.1.attn.q_bias'),
      ...new Array(C).fill(0),
      ...values(tensors, 'blocks.1.attn.v_bias'),
    ]);
    expect([...found.keys()].filter((name) => name.endsWith('_bias'))).toEqual([]);
  });

  test.each([
    ['all tokens', 3 + PATCHES, 0],
    ['the class token and the patches (DINOv2)', 1 + PATCHES, 2],
    ['only the patches (no_embed_class)', PATCHES, 3],
  ])('merges registers, with position embeddings for %s', (_, positions, missing) => {
    const tensors = variant((shapes) =>
      shapes.set('reg_token', [1, 2, C]).set('pos_embed', [1, positions, C]),
    );
    const { architecture, tensors: found } = read(tensors, {}, { imageSize: 8 });
    expect(architecture).toMatchObject({ prefix: 3, imageSize: 8 });
    const embedded = values(tensors, 'pos_embed');
    const before = embedded.length - PATCHES * C;
    expect([...found.get('pos_embed')!.data]).toEqual([
      ...embedded.slice(0, before),
      ...new Array(missing * C).fill(0),
      ...embedded.slice(before),
    ]);
    expect(found.get('pos_embed')!.shape).toEqual([1, 3 + PATCHES, C]);
  });

  test('requires the image size if the positions fit two sizes', () => {
    const tensors = variant((shapes) => shapes.set('reg_token', [1, 2, C]).set('pos_embed', [1, PATCHES, C]));
    expect(() => read(tensors)).toThrow(
      /image_size: pos_embed has 4 rows, which fit images of 8 or 4 pixels/,
    );
    expect(read(tensors, { image_size: 4 }).architecture.imageSize).toBe(4);
    expect(read(tensors, { image_size: 8 }).architecture.imageSize).toBe(8);
    expect(() => read(tensors, { image_size: 12 })).toThrow(
      'image_size: expected 8 or 4, for which pos_embed',
    );
  });

  test('uses the mean of the patches without a class token, after the LayerNorm unless it is fc_norm', () => {
    const without = (shapes: Map<string, number[]>) => {
      shapes.delete('cls_token');
      shapes.set('pos_embed', [1, PATCHES, C]);
    };
    const plain = read(variant(without));
    expect(plain.architecture).toMatchObject({ prefix: 0, pool: 'mean' });
    expect([...plain.tensors.keys()]).toEqual(
      [...tinyShapes().keys()].filter((name) => name !== 'cls_token'),
    );
    const after = read(
      variant((shapes) => {
        without(shapes);
        for (const parameter of ['weight', 'bias']) {
          shapes.set(`fc_norm.${parameter}`, [C]);
          shapes.delete(`norm.${parameter}`);
        }
      }),
    );
    expect(after.architecture).toMatchObject({ prefix: 0, pool: 'mean-before-norm' });
    expect(after.tensors.has('norm.weight')).toBe(true);
    expect(
      read(
        variant(() => {}),
        { global_pool: 'avg' },
      ).architecture,
    ).toMatchObject({ pool: 'mean' });
  });

  test('a backbone has no head and no labels', () => {
    const tensors = variant((shapes) => {
      shapes.delete('head.weight');
      shapes.delete('head.bias');
    });
    const { architecture, labels, tensors: found } = read(tensors);
    expect(architecture.classes).toBe(0);
    expect(labels).toEqual([]);
    expect([...found.keys()].at(-1)).toBe('norm.bias');
    const dino = read(renamed(tensors, VIT_RENAMINGS['Hugging Face DINOv2']));
    expect([...dino.tensors]).toEqual([...found]);
  });
});

import { beforeAll, describe, expect, test } from '@jest/globals';
import { type FloatModel, readFloatModel } from '../../../src/checkpoint/float/model.js';
import {
  readSafetensors,
  type Tensor,
  writeSafetensors,
} from '../../../src/checkpoint/safetensors/safetensors.js';
import { type Quantized, quantize } from '../../../src/quantize/index.js';
import { expectSameButSource } from '../../support/same-checkpoint.js';
import { describeWithShared, readShared, shared } from '../../support/shared.js';
import { tinyModel, tinySwinModel } from '../../support/tiny-model.js';
import { renamed, SWIN_RENAMINGS, VIT_RENAMINGS } from '../renamed.js';
import { zeros } from '../tiny-float.js';
import { saved } from '../torch/raw-torch.js';

const tensorsOf = (file: Uint8Array): Tensor[] => [...readSafetensors(file).tensors.values()];

/** Zeros with these names. */
const ofNames = (names: readonly string[]) => zeros(new Map(names.map((name) => [name, [2, 2]])));

/** The input of the quantiser. */
const content = ({ tensors, ...rest }: FloatModel) => ({ ...rest, tensors: [...tensors] });

const DEIT = tinyModel();
const SWIN = tinySwinModel(undefined, { depths: [2, 1, 1], heads: [1, 2, 2], imageSize: 32 });
const { 'Hugging Face DINOv2': _, ...OF_CLASSIFIERS } = VIT_RENAMINGS;

describe.each([
  ['a DeiT', DEIT, OF_CLASSIFIERS],
  ['a Swin', SWIN, SWIN_RENAMINGS],
])('%s', (_name, file, renamings) => {
  const { metadata } = readSafetensors(file);
  const expected = content(readFloatModel(file));

  test.each(Object.entries(renamings))('is the same model with the names of %s', (_library, renaming) => {
    const other = writeSafetensors(renamed(tensorsOf(file), renaming), metadata);
    expect(content(readFloatModel(other))).toEqual(expected);
  });

  test.each(Object.entries(renamings))(
    'ignores buffers with the names of %s, and leaves out poolers and decoders',
    (library, renaming) => {
      const extra = Object.entries({
        'Hugging Face ViT': ['vit.embeddings.mask_token', 'decoder.x', 'vit.pooler.dense.weight'],
        'Hugging Face DeiT': ['deit.embeddings.mask_token', 'deit.pooler.dense.bias'],
        'Hugging Face': ['swin.encoder.layers.0.blocks.0.attention.self.relative_position_index'],
        timm: ['layers.0.blocks.0.attn.relative_position_index', 'layers.0.blocks.1.attn_mask'],
      }).flatMap(([name, names]) => (name === library ? names : []));
      const left = extra.filter((name) => /pooler|decoder/.test(name));
      const list = left.map((name) => `"${name}"`).join(', ');
      const other = [...renamed(tensorsOf(file), renaming), ...ofNames(extra)];
      expect(content(readFloatModel(writeSafetensors(other, metadata)))).toEqual({
        ...expected,
        warnings: list ? [`tensors outside the model are ignored (${left.length}): ${list}`] : [],
      });
    },
  );

  test.each(Object.entries(renamings))(
    'refuses a missing and an unexpected tensor by their names in %s',
    (_l, renaming) => {
      const all = renamed(tensorsOf(file), renaming);
      const gone = all.find(({ name }) => /(fc2|output\.dense|mlp\.3)\.bias$/.test(name))!;
      const strange = { ...gone, name: 'strange.weight' };
      const other = writeSafetensors([...all.filter((tensor) => tensor !== gone), strange], metadata);
      expect(() => readFloatModel(other)).toThrow(
        expect.objectContaining({
          code: 'CHECKPOINT_MISSING',
          message: expect.stringContaining(`1 missing: "${gone.name}"; 1 unexpected: "strange.weight"`),
        }),
      );
    },
  );
});

test('refuses one tensor under two names', () => {
  const head = zeros(new Map([['head.fc.weight', [3, 8]]]));
  const file = writeSafetensors([...tensorsOf(SWIN), ...head], {});
  expect(() => readFloatModel(file)).toThrow(
    expect.objectContaining({
      code: 'CHECKPOINT_SCHEME',
      message: expect.stringMatching(
        /expected one tensor for head\.weight, found "head\.(fc\.)?weight" and "head/,
      ),
    }),
  );
});

describeWithShared(
  'a real Swin with the names of other libraries',
  1,
  ['models/swin_micro.safetensors'],
  () => {
    test('quantises to the same bytes, except for the SHA-256 of its source', async () => {
      const images = [1, 2].map((seed) => ({
        width: 56,
        height: 56,
        data: Uint8Array.from({ length: 3 * 56 * 56 }, (_x, i) => (i * seed * 37) % 256),
      }));
      const file = readShared('models/swin_micro.safetensors');
      const options = { imageSize: 56, method: 'fq' } as const;
      const one = await quantize(file, images, options);
      for (const renaming of Object.values(SWIN_RENAMINGS)) {
        const other = await quantize(
          writeSafetensors(renamed(tensorsOf(file), renaming), {}),
          images,
          options,
        );
        expectSameButSource(other, one);
      }
    });
  },
);

const PHOTOS = ['n02690373_airliner', 'n02123159_tiger_cat'].map((name) => `data/imagenet500/${name}.JPEG`);
const DEIT_TINY = 'models/deit_tiny_patch16_224.safetensors';
describeWithShared('DeiT-Tiny in the formats of other libraries', 5, [DEIT_TINY, ...PHOTOS], () => {
  const photos = PHOTOS.map((photo) => `${shared}${photo}`);
  const made = (file: Uint8Array) =>
    quantize(file, photos, { method: 'fq', config: { architecture: 'deit', num_heads: 3 } });
  const plain = () => tensorsOf(readShared(DEIT_TINY));
  const safetensors = (tensors: readonly Tensor[]) => writeSafetensors(tensors, {});

  /** Adds a second token, with a position, and a second head: the reversed first ones. */
  const distilled = (): Tensor[] => {
    const reversed = ({ data, ...rest }: Tensor, name: string): Tensor => {
      const values = new Float32Array(data.slice().buffer).reverse();
      return { ...rest, name, data: new Uint8Array(values.buffer) };
    };
    return plain().flatMap((tensor) => {
      const { name, data } = tensor;
      if (name === 'cls_token') return [tensor, reversed(tensor, 'dist_token')];
      if (name.startsWith('head.')) return [tensor, reversed(tensor, name.replace('head', 'head_dist'))];
      if (name !== 'pos_embed') return [tensor];
      const first = data.subarray(0, 4 * 192);
      return [{ ...tensor, shape: [1, 198, 192], data: new Uint8Array(Buffer.concat([first, data])) }];
    });
  };

  let one: Quantized;
  let two: Quantized;
  beforeAll(async () => {
    one = await made(safetensors(plain()));
    two = await made(safetensors(distilled()));
    expect(one.model.architecture.name).toBe('deit_tiny_patch16_224');
    expect(two.model.architecture.name).toBe('deit_tiny_distilled_patch16_224');
  }, 60_000);

  test.each(['Hugging Face ViT', 'Hugging Face DeiT', 'torchvision'] as const)(
    'quantises to the same bytes from %s',
    async (library) => {
      expectSameButSource(await made(safetensors(renamed(plain(), VIT_RENAMINGS[library]))), one);
    },
  );

  test("quantises to the same bytes from facebook's .pth", async () => {
    expectSameButSource(await made(saved(plain())), one);
  });

  test('quantises a distilled model to the same bytes from Hugging Face and .pth', async () => {
    const other = renamed(distilled(), VIT_RENAMINGS['Hugging Face DeiT']);
    expectSameButSource(await made(safetensors(other)), two);
    expectSameButSource(await made(saved(distilled())), two);
  });
});

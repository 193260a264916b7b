import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import type { FloatFile } from '../../../src/checkpoint/float/container.js';
import { type FloatModel, readFloatModel } from '../../../src/checkpoint/float/model.js';
import {
  readSafetensors,
  type Tensor,
  writeSafetensors,
} from '../../../src/checkpoint/safetensors/safetensors.js';
import { UsageError } from '../../../src/errors.js';
import { quantize } from '../../../src/quantize/index.js';
import { modelFile, tinyModel, tinySwinModel } from '../../support/tiny-model.js';
import { refusal } from '../raw-file.js';
import { renamed, SWIN_RENAMINGS, VIT_RENAMINGS } from '../renamed.js';
import { zeros } from '../tiny-float.js';
import { saved, savedNested } from '../torch/raw-torch.js';

const config = { architecture: 'vit', num_heads: 2 };
const tensorsOf = (file: Uint8Array): Tensor[] => [...readSafetensors(file).tensors.values()];
const behind = (prefix: string, tensors: readonly Tensor[]) =>
  tensors.map((tensor) => ({ ...tensor, name: prefix + tensor.name }));
/** Zeros with these names. */
const ofNames = (...names: string[]) => zeros(new Map(names.map((name) => [name, [3, 16]])));
const file = (...tensors: (readonly Tensor[])[]) => writeSafetensors(tensors.flat(), {});
const read = (bytes: FloatFile, weights?: string) => readFloatModel(bytes, { config, weights });
/** The input of the quantiser. */
const content = ({ warnings: _, weights: _w, ...rest }: FloatModel) => ({
  ...rest,
  tensors: [...rest.tensors],
});

const VIT = tensorsOf(tinyModel(null));
const OTHER = tensorsOf(tinyModel(null, { seed: 2 }));
const BACKBONE = VIT.filter(({ name }) => !name.startsWith('head.'));
const HF = renamed(VIT, VIT_RENAMINGS['Hugging Face ViT']);
const HF_BACKBONE = HF.filter(({ name }) => !name.startsWith('classifier.'));
const [one, two] = [VIT, OTHER].map((tensors) => content(read(file(tensors))));

describe('a prefix', () => {
  const PREFIXES = ['_orig_mod.', 'module.', 'model.', 'net.', 'encoder.', 'student.', 'blocks.0.', 'a.b.c.'];

  test.each([...PREFIXES, 'module._orig_mod.model.', '.'])('may be %s', (prefix) => {
    const forms = [behind(prefix, VIT), behind(prefix, HF)];
    for (const tensors of forms) {
      const half = Math.floor(tensors.length / 2);
      const parts = [tensors.slice(0, half), tensors.slice(half)].map((part) => writeSafetensors(part, {}));
      for (const bytes of [file(tensors), saved(tensors), parts]) {
        const model = read(bytes);
        expect(content(model)).toEqual(one);
        expect(model.warnings).toEqual([]);
      }
    }
  });

  test.each(Object.entries({ ...VIT_RENAMINGS, ...SWIN_RENAMINGS }))(
    'may precede the names of %s',
    (library, to) => {
      const swin = library in SWIN_RENAMINGS;
      const plain = renamed(tensorsOf(swin ? tinySwinModel(null) : tinyModel(null)), to);
      const tensors =
        library === 'Hugging Face DINOv2' ? plain.filter(({ name }) => !/^head/.test(name)) : plain;
      const options = { config: swin ? { image_size: 32 } : config };
      const expected = content(readFloatModel(file(tensors), options));
      expect(content(readFloatModel(file(behind('encoder.', tensors)), options))).toEqual(expected);
    },
  );

  test('does not hide the masks that show the image size of a Swin', () => {
    const masks = zeros(new Map([['layers.0.blocks.1.attn_mask', [16, 16, 16]]]));
    const swin = [...tensorsOf(tinySwinModel(null)), ...masks];
    const sizes = [file(swin), file(behind('module.', swin))].map(
      (bytes) => readFloatModel(bytes).architecture.imageSize,
    );
    expect(sizes[1]).toBe(sizes[0]);
  });

  test('is part of the name of a missing tensor', () => {
    const lacking = behind('net.', HF).filter(({ name }) => name !== 'net.vit.layernorm.bias');
    expect(() => read(file(lacking))).toThrow(
      expect.objectContaining({
        code: 'CHECKPOINT_MISSING',
        message: expect.stringContaining('1 missing: "net.vit.layernorm.bias"'),
      }),
    );
  });

  test('reads 90,000 blocks in bounded time', () => {
    const names = Array.from({ length: 90_000 }, (_, i) => `blocks.${i}.norm1.weight`);
    const bytes = file(zeros(new Map(names.map((name) => [name, [0]]))));
    const start = performance.now();
    expect(() => read(bytes)).toThrow(
      /expected the 12005 tensors of a DeiT or ViT of depth 1000, found 90000/,
    );
    expect(performance.now() - start).toBeLessThan(30_000);
  }, 60_000);

  test('reads 100,000 deeply nested names in bounded time', () => {
    const deep = 'a.'.repeat(100);
    const names = Array.from({ length: 33_000 }, (_, i) => `${deep}${i}.`).flatMap((prefix) => [
      ...[`${prefix}patch_embed.proj.weight`, `${prefix}blocks.0.norm1.weight`, `${prefix}norm.weight`],
    ]);
    const bytes = file(zeros(new Map(names.map((name) => [name, [1]]))));
    const start = performance.now();
    expect(() => read(bytes)).toThrow(expect.objectContaining({ code: 'CHECKPOINT_WEIGHTS' }));
    expect(performance.now() - start).toBeLessThan(30_000);
  }, 60_000);
});

describe('tensors that do not belong to the model', () => {
  const OUTSIDE: [what: string, tensors: readonly Tensor[], left: string[]][] = [
    ['averaging state', [...ofNames('n_averaged'), ...behind('module.', HF)], ['n_averaged']],
    ['a loss', [...behind('model.', VIT), ...ofNames('criterion.weight')], ['criterion.weight']],
    ['a loss with the prefix of the model', [...HF, ...ofNames('loss_fct.weight')], ['loss_fct.weight']],
    ['a pooler', [...HF, ...ofNames('vit.pooler.dense.weight')], ['vit.pooler.dense.weight']],
  ];
  test.each(OUTSIDE)('warns about %s', (_what, tensors, left) => {
    const model = read(file(tensors));
    expect(content(model)).toEqual(one);
    const list = left.map((name) => `"${name}"`).join(', ');
    expect(model.warnings).toEqual([`tensors outside the model are ignored (${left.length}): ${list}`]);
  });

  test('refuses a layer that reads the logits', () => {
    const layer = (name: string, columns: number) => zeros(new Map([[name, [5, columns]]]));
    expect(() => read(file(behind('model.', VIT), layer('fc.weight', 3)))).toThrow(
      expect.objectContaining({
        code: 'CHECKPOINT_EXTRA',
        message: expect.stringMatching(
          /expected "model\.head\.weight" to be the last layer, found "fc\.weight"/,
        ),
      }),
    );
    expect(read(file(behind('model.', VIT), layer('loss.weight', 3))).architecture.classes).toBe(3);
    expect(read(file(behind('model.', VIT), layer('text.weight', 7))).architecture.classes).toBe(3);
  });

  test('warns with their number and the first few names', () => {
    const many = ofNames(...Array.from({ length: 9 }, (_, i) => `queue.${i}`));
    expect(read(file(behind('net.', VIT), many)).warnings).toEqual([
      'tensors outside the model are ignored (9): "queue.0", "queue.1", "queue.2", "queue.3", "queue.4", ...',
    ]);
  });

  const HEADS: [what: string, tensors: readonly Tensor[], left: string][] = [
    ['next to a backbone', [...behind('backbone.', BACKBONE), ...ofNames('head.weight')], 'head.weight'],
    [
      "outside Hugging Face's model",
      [...behind('model.', HF_BACKBONE), ...ofNames('classifier.weight')],
      'classifier.weight',
    ],
    ['with another name', [...HF_BACKBONE, ...ofNames('fc.weight')], 'fc.weight'],
    ['of more than one layer', [...HF_BACKBONE, ...ofNames('classifier.0.weight')], 'classifier.0.weight'],
    ['that is a projection', [...BACKBONE, ...ofNames('head.mlp.0.weight')], 'head.mlp.0.weight'],
  ];
  test.each(HEADS)('ignores a head %s and warns that there are no classes', (_what, tensors, left) => {
    const model = read(file(tensors));
    expect(model.architecture.classes).toBe(0);
    expect(model.warnings).toEqual([
      `tensors outside the model are ignored (1): "${left}"; the model has no head, so it gives features but no classes`,
    ]);
    expect(() => readFloatModel(file(tensors), { config, labels: ['a', 'b', 'c'] })).toThrow(
      expect.objectContaining({
        code: 'CHECKPOINT_LABELS',
        message: expect.stringContaining(`found 3; tensors outside the model are ignored (1): "${left}"`),
      }),
    );
  });

  test.each<[string, RegExp | undefined]>([
    ['norm_pre.weight', /pre-norm\), as tensor "(model\.)?norm_pre\.weight" shows/],
    ['pre_logits.weight', undefined],
    ['blocks.0.attn.q_norm.weight', /a norm of query and key/],
    ['blocks.0.attn.rope', /RoPE/],
    ['head.1.weight', undefined],
    ['strange.weight', undefined],
  ])('refuses %s inside the model', (name, operation) => {
    for (const prefix of ['', 'model.']) {
      expect(() => read(file(behind(prefix, [...VIT, ...ofNames(name)])))).toThrow(
        expect.objectContaining({
          code: 'CHECKPOINT_EXTRA',
          message: operation
            ? expect.stringMatching(operation)
            : expect.stringContaining(`1 unexpected: "${prefix}${name}"`),
        }),
      );
    }
  });

  test("refuses an unknown tensor next to Hugging Face's head", () => {
    expect(() => read(file(behind('net.', [...HF, ...ofNames('pre_classifier.weight')])))).toThrow(
      expect.objectContaining({ code: 'CHECKPOINT_EXTRA' }),
    );
  });

  test.each([
    'base_model.model.vit.encoder.layer.0.attention.attention.query.lora_A.weight',
    'blocks.0.attn.qkv.lora_B.default.weight',
    'blocks.0.attn.proj.ia3_l',
  ])('refuses an adapter by name: %s', (name) => {
    for (const tensors of [ofNames(name), [...VIT, ...ofNames(name)]]) {
      expect(() => read(file(tensors))).toThrow(
        expect.objectContaining({
          code: 'CHECKPOINT_ADAPTER',
          message: expect.stringMatching(/merge it into its model/),
        }),
      );
    }
  });
});

describe('several models in a file', () => {
  const both = (a: string, b: string) => [...behind(a, VIT), ...behind(b, OTHER)];
  const CASES: [tensors: readonly Tensor[], labels: [string, string]][] = [
    [both('student.', 'teacher.'), ['student', 'teacher']],
    [both('student.backbone.', 'teacher.backbone.'), ['student.backbone', 'teacher.backbone']],
    [both('model.', 'model_ema.module.'), ['model', 'model_ema.module']],
    [
      both('module.base_encoder.', 'module.momentum_encoder.'),
      ['module.base_encoder', 'module.momentum_encoder'],
    ],
    [both('', 'ema.'), ['.', 'ema']],
    [both('a.', 'a.b.'), ['a', 'a.b']],
  ];
  test.each(CASES)('require a choice, by name: %#', (tensors, [first, second]) => {
    const { code, message } = refusal(() => read(file(tensors)));
    expect(code).toBe('CHECKPOINT_WEIGHTS');
    expect(message).toContain(`expected one complete model, found 2: "${first}", "${second}"`);
    const chosen = [first, second].map((weights) => read(file(tensors), weights));
    expect(chosen.map(content)).toEqual([one, two]);
    expect(chosen.map(({ weights }) => weights)).toEqual([first, second]);
    expect(chosen.flatMap(({ warnings }) => warnings)).toEqual([]);
  });

  test('can be chosen by a unique part of the name', () => {
    const tensors = file(both('module.student.net.', 'module.teacher.net.'));
    expect(content(read(tensors, 'teacher'))).toEqual(two);
    for (const weights of ['net', 'module', 'teach', '', '.']) {
      expect(() => read(tensors, weights)).toThrow(
        new UsageError(
          'MODEL_OPTION',
          `weights: expected one of the models in checkpoint, "module.student.net", "module.teacher.net", found "${weights}"`,
        ),
      );
    }
  });

  test('a single model can be chosen only by its own name', () => {
    expect(content(read(file(behind('net.', VIT)), 'net'))).toEqual(one);
    expect(content(read(file(VIT), '.'))).toEqual(one);
    expect(() => read(file(VIT), 'state_dict_ema')).toThrow(
      expect.objectContaining({ code: 'MODEL_OPTION', message: expect.stringContaining('"."') }),
    );
  });

  const nested = (keys: readonly string[]) =>
    savedNested(Object.fromEntries(keys.map((key, i) => [key, i === 0 ? VIT : OTHER])));
  test.each([
    ['state_dict_ema', 'state_dict'],
    ['model_ema', 'model'],
    ['state_dict_ema', 'model_ema'],
    ['state_dict', 'model'],
  ])('are chosen as in timm, %s before %s', (first, second) => {
    for (const bytes of [nested([first, second]), savedNested({ [second]: OTHER, [first]: VIT })]) {
      const model = read(bytes);
      expect(content(model)).toEqual(one);
      expect(model.weights).toBe(first);
      expect(model.warnings).toEqual([
        expect.stringMatching(
          new RegExp(
            `the file holds 2 models, .*: "${first}" is used, as in timm; choose another with --weights`,
          ),
        ),
      ]);
      expect(content(read(bytes, second))).toEqual(two);
      expect(read(bytes, second).warnings).toEqual([]);
    }
  });

  test('require a choice in dictionaries that timm does not know', () => {
    for (const key of ['teacher', 'ema', 'model_state_dict']) {
      expect(refusal(() => read(nested(['state_dict', key]))).code).toBe('CHECKPOINT_WEIGHTS');
    }
    const inOne = savedNested({ state_dict: both('model.', 'ema.'), state_dict_ema: [] });
    expect(refusal(() => read(inOne)).message).toContain('"state_dict.ema", "state_dict.model"');
  });

  test('a warning names incomplete averaged weights', () => {
    const model = read(savedNested({ state_dict: VIT, state_dict_ema: OTHER.slice(0, 1) }));
    expect(content(model)).toEqual(one);
    expect(model.warnings).toEqual([
      expect.stringContaining('(1): "state_dict_ema.blocks.0.attn.proj.bias"'),
    ]);
  });

  test('are refused if there are more than a hundred', () => {
    const small = tensorsOf(tinyModel(null, { depth: 1 }));
    const tensors = Array.from({ length: 101 }, (_, i) => behind(`m${i}.`, small)).flat();
    expect(refusal(() => read(file(tensors))).message).toContain('expected at most 100 models, found 101');
  });

  test('the integer checkpoint names the one that it was made from', async () => {
    const pixels = { width: 16, height: 16, data: new Uint8Array(3 * 256).map((_, i) => i) };
    const bytes = savedNested({ state_dict: OTHER, state_dict_ema: VIT });
    const made = (weights?: string) => quantize(bytes, [pixels], { config, weights, method: 'minmax' });
    expect((await made()).model.recipe.weights).toBe('state_dict_ema');
    expect((await made('state_dict')).model.recipe.weights).toBe('state_dict');
    const alone = await quantize(file(VIT), [pixels], { config, method: 'minmax' });
    expect(alone.model.recipe).not.toHaveProperty('weights');
  });
});

describe('the names of transformers 5', () => {
  type Row = [disk: string, memory: string, shape: number[]];
  const path = fileURLToPath(new URL('../fixtures/transformers-names.json', import.meta.url));
  const MODELS: Record<string, Row[]> = JSON.parse(readFileSync(path, 'utf8'));

  test.each(Object.entries(MODELS))(
    '%s is read with the names of save_pretrained and of state_dict()',
    (name, rows) => {
      const [disk, memory] = [0, 1].map((column) => {
        const shapes = new Map(rows.map((row) => [row[column] as string, row[2]]));
        return modelFile(shapes, name.startsWith('Swin') ? { image_size: 32 } : config, 1);
      });
      const models = [disk!, memory!].map((bytes) => readFloatModel(bytes));
      const names = new Map(rows.map(([onDisk, inMemory]) => [onDisk, inMemory]));
      expect(content(models[1]!)).toEqual(content(models[0]!));
      expect(models[0]!.architecture.classes).toBe(/Classification/.test(name) ? 3 : 0);
      const left = rows.filter(([, inMemory]) => /^decoder|pooler/.test(inMemory));
      expect(models[0]!.warnings.length).toBe(left.length > 0 ? 1 : 0);
      expect(names.size).toBe(rows.length);
    },
  );
});

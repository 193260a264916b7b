import { describe, expect, test } from '@jest/globals';
import { readSafetensors, writeSafetensors } from '../../src/checkpoint/safetensors/safetensors.js';
import { load } from '../../src/index.js';
import { renamed, VIT_RENAMINGS } from '../checkpoint/renamed.js';
import { tinyModel } from '../support/tiny-model.js';
import { fqvit, Scratch } from './support.js';

const scratch = new Scratch();
const { photos } = scratch.fill();
const photo = scratch.photo('photo.png', 11);

/** As long as the names of ImageNet-21k. */
const nameOf = (index: number) => `thing ${index}, some thing, a thing of kind ${index % 97}`;

/**
 * The files that transformers saves of a tiny ViT whose head prefers one class. `id2label` is JSON
 * text, since its order counts.
 */
function saved(folder: string, classes: number, best: number, id2label: string): string {
  const file = tinyModel(null, { classes });
  const tensors = [...readSafetensors(file).tensors.values()];
  const bias = tensors.find(({ name }) => name === 'head.bias')!;
  new DataView(bias.data.buffer, bias.data.byteOffset).setFloat32(4 * best, 20, true);
  const weights = writeSafetensors(renamed(tensors, VIT_RENAMINGS['Hugging Face ViT']), {});
  scratch.write(`${folder}/model.safetensors`, weights);
  const sizes = '"model_type": "vit", "image_size": 16, "patch_size": 8, "num_attention_heads": 2';
  scratch.write(`${folder}/config.json`, `{${sizes}, "id2label": ${id2label}}`);
  scratch.write(`${folder}/preprocessor_config.json`, '{"size": 16}');
  return scratch.at(folder);
}

/** The likeliest class, the labels of the checkpoint, and the messages while it was made. */
async function quantized(source: string, ...options: string[]) {
  const out = scratch.at('out.safetensors');
  const args = ['quantize', source, '--calibration', photos, '--method', 'fq', '-o', out, '--force'];
  const { code, stderr } = await fqvit([...args, ...options]);
  if (code !== 0) return { stderr };
  const model = await load(out);
  const [best] = await model.classify(photo, { top: 1 });
  const { labels } = model.info;
  model.dispose();
  return { best, labels, stderr };
}

describe('a fine-tune', () => {
  test.each([2, 21_843])('of %d classes names the best as the config does', async (classes) => {
    const index = classes - 1;
    const names = Array.from({ length: classes }, (_, i) => nameOf(i));
    const folder = saved(`of-${classes}`, classes, index, JSON.stringify({ ...names }));
    const { best, labels, stderr } = await quantized(folder);
    expect(best).toMatchObject({ index, label: nameOf(index) });
    expect(labels).toEqual(names);
    expect(stderr).not.toContain('warning');
    const shown = await fqvit(['classify', photo, '--model', scratch.at('out.safetensors'), '--top', '1']);
    expect(shown.stdout).toContain(nameOf(index));
  });

  test('may have labels out of order', async () => {
    const members = [3, 0, 4, 1, 2].map((i) => `"${i}": "${nameOf(i)}"`);
    const { best, labels } = await quantized(saved('shuffled', 5, 3, `{${members.join(', ')}}`));
    expect(best).toMatchObject({ index: 3, label: nameOf(3) });
    expect(labels).toEqual([0, 1, 2, 3, 4].map(nameOf));
  });

  test.each([
    ['with gaps', '{"0": "a", "2": "c", "3": "d"}'],
    ['not from 0', '{"1": "a", "2": "b", "3": "c"}'],
    ['not text', '{"0": "a", "1": 5, "2": "c"}'],
  ])(
    'has numbers for labels, with a warning, if its labels are %s; --labels names them',
    async (name, id2label) => {
      const folder = saved(name, 3, 2, id2label);
      const { best, stderr } = await quantized(folder);
      expect(best).toMatchObject({ index: 2, label: 'class 2' });
      expect(stderr).toMatch(
        /warning: id2label: expected a name for every class number from 0, found gaps: it is ignored/,
      );
      expect(stderr).toMatch(/warning: there are no class names: without --labels, /);
      const file = scratch.write('labels.txt', 'red\ngreen\nblue\n');
      const named = await quantized(folder, '--labels', file);
      expect(named.best).toMatchObject({ index: 2, label: 'blue' });
      expect(named.stderr).not.toContain('no class names');
    },
  );

  test('takes --labels before the names of the config, one per class', async () => {
    const folder = saved('named', 3, 1, JSON.stringify({ ...['a', 'b', 'c'] }));
    const file = scratch.write('labels.json', JSON.stringify(['red', 'green', 'blue']));
    expect((await quantized(folder, '--labels', file)).best).toMatchObject({ index: 1, label: 'green' });
    const few = await quantized(folder, '--labels', scratch.write('few.txt', 'red\ngreen\n'));
    expect(few.stderr).toMatch(
      /CHECKPOINT_LABELS: .*expected 3 labels, one per row of classifier\.weight, found 2/,
    );
  });

  test('may have more or fewer names than classes', async () => {
    for (const names of [
      ['a', 'b'],
      ['a', 'b', 'c', 'd'],
    ]) {
      const { stderr } = await quantized(saved('miscounted', 3, 1, JSON.stringify({ ...names })));
      expect(stderr).toMatch(new RegExp(`CHECKPOINT_LABELS: .*expected 3 labels, .* found ${names.length}`));
    }
  });
});

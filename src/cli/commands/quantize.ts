import type { ArgsDef, ParsedArgs } from 'citty';
import { OUTPUTS, type Output } from '../../architecture/output.js';
import type { Recipe } from '../../checkpoint/integer/description.js';
import { QuantizeError } from '../../errors.js';
import { parseLabels } from '../../labels/parse.js';
import { shownSource } from '../../platform/address.js';
import { readText } from '../../platform/files.js';
import { joinPath } from '../../platform/join-path.js';
import { checkOutput, expectNoInput, writeOutput } from '../../platform/output-file.js';
import type { FloatModel, Quantized, QuantizeOptions } from '../../quantize/index.js';
import {
  ACTIVATION_BITS,
  ATTENTION_BITS,
  DEFAULT_IMAGES,
  DEFAULT_SYNTHETIC,
  METHODS,
  methodRecipe,
  OBSERVER_NAMES,
  WEIGHT_BITS,
} from '../../quantize/recipe.js';
import { shellQuoted } from '../../text/quantize-command.js';
import { describeCommand } from '../command.js';
import { readFloatSource } from '../float-source.js';
import { columns, escapeControls, formatBytes, formatDuration, formatValue, plural } from '../format.js';
import { listImages } from '../image-folder.js';
import { MEANINGS } from '../meaning.js';
import { describePreprocessing } from '../preprocessing.js';
import { startProgress } from '../progress.js';
import { describeMethod } from '../recipe.js';
import { note, print, printJson, warn } from '../report.js';
import type { PageSource } from '../report-page/page.js';
import type { Both } from '../report-page/quality.js';
import type { ReportSummary } from '../report-page/write-report.js';
import { fractionOption, integerOption, optional, tripleOption } from '../values.js';

/** Skipped images that the summary lists; the others are counted. */
const SKIPPED_SHOWN = 10;

const SYNTHETIC =
  'calibrating on synthetic pictures; for better accuracy, pass your own photos with --calibration DIR';

/** The name of each phase in the progress, and what it counts. */
const PHASES = {
  calibrating: ['calibrating', 'image'],
  searching: ['searching for ranges', 'image run'],
  rounding: ['rounding weights', 'layer'],
} as const;

const ARGS = {
  float: {
    type: 'positional',
    required: true,
    description:
      'DeiT, ViT or Swin: a .safetensors, .pth, .pt, .ckpt, .bin or .onnx file, a folder as transformers or timm save it, or a Hugging Face id: owner/name[@revision]',
  },
  calibration: {
    type: 'string',
    valueHint: 'DIR',
    description:
      'Folder with photos like those you will classify, also in subfolders (default: synthetic pictures, which give a less accurate model)',
  },
  output: {
    type: 'string',
    alias: 'o',
    valueHint: 'OUT',
    required: true,
    description: 'Integer checkpoint to write',
  },
  report: {
    type: 'string',
    valueHint: 'FILE',
    description:
      'Write an HTML page about the result: agreement with the float model, top-1, speed, error of every layer, sizes',
  },
  force: { type: 'boolean', description: 'Replace OUT and FILE if they exist' },
  method: {
    type: 'enum',
    options: [...METHODS],
    valueHint: 'METHOD',
    description:
      'best, the default, is usually closest to the float model; fq is the method of the FQ-ViT paper; the others are its baselines',
  },
  observer: {
    type: 'enum',
    options: [...OBSERVER_NAMES],
    valueHint: 'OBSERVER',
    description: 'How --method fq finds the range of an activation; minmax by default',
  },
  'attention-bits': {
    type: 'enum',
    options: ATTENTION_BITS.map(String),
    valueHint: 'BITS',
    description: 'Bits of attention codes; by default 4 for fq, 7 for best, 8 for the others',
  },
  'weight-bits': {
    type: 'enum',
    options: WEIGHT_BITS.map(String),
    default: '8',
    valueHint: 'BITS',
    description:
      'Bits of the weights in the blocks; 4 halves the file. Patch embedding and head keep at least 7',
  },
  'activation-bits': {
    type: 'enum',
    options: ACTIVATION_BITS.map(String),
    default: '8',
    valueHint: 'BITS',
    description: 'Bits of the activations that linear layers of the blocks read',
  },
  'calibration-images': {
    type: 'string',
    valueHint: 'N',
    description: `Photos to calibrate on (default: up to ${DEFAULT_IMAGES} photos, or ${DEFAULT_SYNTHETIC} synthetic pictures)`,
  },
  seed: {
    type: 'string',
    valueHint: 'N',
    default: '0',
    description: 'Seed that picks the photos, or draws the synthetic pictures',
  },
  arch: {
    type: 'string',
    valueHint: 'NAME',
    description:
      'timm name of a file without a config, also with a pretrained tag: vit_base_patch16_224.dino',
  },
  heads: {
    type: 'string',
    valueHint: 'N',
    description: 'Heads of each block, if neither the file nor --arch tells; only checked for a Swin',
  },
  weights: {
    type: 'string',
    valueHint: 'NAME',
    description:
      'Which model, if FLOAT holds several: the start of its tensor names, such as state_dict, model_ema or student, or . for none (default: the choice of timm, averaged weights first)',
  },
  'image-size': {
    type: 'string',
    valueHint: 'N',
    description:
      'Side of the input in pixels, a multiple of the windows of a Swin; only checked for a DeiT or ViT',
  },
  crop: {
    type: 'string',
    valueHint: 'F',
    description:
      'Part of the short side that the centre crop keeps, such as 0.875 (default: from the config or --arch)',
  },
  mean: {
    type: 'string',
    valueHint: 'R,G,B',
    description: 'Mean of the pixels, from 0 to 1, such as 0.485,0.456,0.406 (default: like --crop)',
  },
  std: {
    type: 'string',
    valueHint: 'R,G,B',
    description: 'Standard deviation of the pixels, such as 0.229,0.224,0.225 (default: like --crop)',
  },
  labels: {
    type: 'string',
    valueHint: 'FILE',
    description:
      'Class names: a JSON or Python dict or list (names by index, id2label, …), lines with an index (0:daisy) or a WordNet id, or one name per line in the order of the classes',
  },
  logits: {
    type: 'enum',
    options: [...OUTPUTS],
    valueHint: 'MEANING',
    description:
      'Meaning of the logits: softmax for single-label, sigmoid for multi-label, value for regression; by default that of the config, otherwise softmax, or sigmoid for one output',
  },
  json: { type: 'boolean', description: 'Print the summary as JSON' },
} as const satisfies ArgsDef;

export default describeCommand({
  name: 'quantize',
  summary: 'make an integer checkpoint from a float one',
  usage: 'FLOAT [--calibration DIR] -o OUT [OPTIONS]',
  args: ARGS,
  examples: [
    'fqvit quantize facebook/deit-tiny-patch16-224 -o m.safetensors   # no photos: less accurate',
    'fqvit quantize google/vit-base-patch16-224 --calibration photos/ -o m.safetensors',
    'fqvit quantize finetuned/ --calibration photos/ -o m.safetensors   # a save_pretrained folder',
    'fqvit quantize vit.pth --arch vit_base_patch16_224 --labels names.txt -o m.safetensors',
    'fqvit quantize last.ckpt --weights state_dict.ema --arch vit_tiny_patch16_224 -o m.safetensors',
    'fqvit quantize tags.pth --arch vit_tiny_patch16_224 --logits sigmoid -o tags.safetensors',
    'fqvit quantize finetuned/ --calibration photos/ --weight-bits 4 -o int4.safetensors',
    'fqvit quantize finetuned/ --calibration photos/ --report m.html -o m.safetensors',
  ],
  async run(args) {
    const start = performance.now();
    const chosen = chosenOptions(args);
    const { calibrationImages } = chosen;
    methodRecipe(chosen);
    const named = args.labels === undefined ? {} : parseLabels(await readText(args.labels), args.labels);
    const photos = await optional(args.calibration, (folder) => calibrationList(folder, calibrationImages));
    const images = photos ?? [];
    const classes = args.calibration === undefined ? [] : [joinPath(args.calibration, 'labels.csv')];
    const inputs = [args.float, ...(args.labels ? [args.labels] : []), ...classes, ...images];
    const force = args.force ?? false;
    const target = checkOutput(args.output, { force, inputs });
    const page = optional(args.report, (path) => checkOutput(path, { force, inputs, other: target }));
    const float = await readFloatSource(args.float, args.arch);
    for (const path of page === undefined ? [target] : [target, page]) expectNoInput(path, float.files);
    const options = { ...float.options, ...chosen, ...named };
    const { quantize, readFloatModel } = await import('../../quantize/index.js');
    // `quantize` reads it again; reading it here shows the guesses before the wait
    const source = readFloatModel(float.bytes, options);
    const guesses = warnings(source, photos !== undefined);
    for (const warning of guesses) warn(warning);
    if (page !== undefined && args.calibration !== undefined && source.output === 'softmax') {
      // a faulty labels.csv is refused before the work
      await (await import('../report-page/quality.js')).classesOfPhotos(args.calibration, source);
    }

    let phase: keyof typeof PHASES = 'calibrating';
    const most = photos ? Math.min(photos.length, calibrationImages ?? DEFAULT_IMAGES) : DEFAULT_SYNTHETIC;
    let progress = startProgress('calibrating', calibrationImages ?? most);
    const onProgress: QuantizeOptions['onProgress'] = (done, total, now) => {
      if (now !== phase) {
        phase = now;
        progress.stop();
        const [what, unit] = PHASES[now];
        progress = startProgress(what, total, { unit });
      }
      progress.update(done, total);
    };
    let result: Quantized;
    try {
      result = await quantize(float.bytes, photos ?? 'synthetic', { ...options, onProgress });
    } finally {
      progress.stop();
    }
    writeOutput(target, result.bytes, { force });
    const ms = performance.now() - start;
    const made = { float: source, result, folder: args.calibration ?? '', images };
    const about = { ...made, source: shownSource(args.float), sourceBytes: float.size, output: args.output };
    const report = page === undefined ? undefined : await reportOn(about, page, force);
    const summary: Summary = { args, warnings: guesses, floatBytes: float.size, result, report, ms };
    if (args.json) printJson(json(summary));
    else printSummary(summary);
  },
});

async function reportOn(about: PageSource, path: string, force: boolean): Promise<ReportSummary> {
  const { writeReport } = await import('../report-page/write-report.js');
  return writeReport(path, about, { force });
}

function chosenOptions(args: ParsedArgs<typeof ARGS>): QuantizeOptions {
  return {
    method: args.method,
    observer: args.observer,
    attentionBits: ATTENTION_BITS.find((bits) => String(bits) === args['attention-bits']),
    weightBits: WEIGHT_BITS.find((bits) => String(bits) === args['weight-bits']),
    activationBits: ACTIVATION_BITS.find((bits) => String(bits) === args['activation-bits']),
    calibrationImages: optional(args['calibration-images'], (n) => integerOption('calibration-images', n, 1)),
    seed: integerOption('seed', args.seed, 0, 2 ** 32 - 1),
    imageSize: optional(args['image-size'], (n) => integerOption('image-size', n, 1)),
    heads: optional(args.heads, (n) => integerOption('heads', n, 1)),
    cropPct: optional(args.crop, (f) => fractionOption('crop', f)),
    mean: optional(args.mean, (rgb) => tripleOption('mean', rgb)),
    std: optional(args.std, (rgb) => tripleOption('std', rgb, { positive: true })),
    output: OUTPUTS.find((output) => output === args.logits),
    ...(args.arch === undefined ? {} : { arch: args.arch }),
    ...(args.weights === undefined ? {} : { weights: args.weights }),
  };
}

interface Summary {
  readonly args: { readonly float: string; readonly output: string; readonly report?: string | undefined };
  readonly warnings: readonly string[];
  readonly floatBytes: number;
  readonly result: Quantized;
  readonly report: ReportSummary | undefined;
  readonly ms: number;
}

/** Guesses about the float checkpoint, and what the result will lack. */
function warnings({ warnings: guesses, labels }: FloatModel, hasPhotos: boolean): string[] {
  const nameless = labels.every((label, index) => label === `class ${index}`);
  return [
    ...guesses,
    ...(nameless ? ['there are no class names: without --labels, results say "class 0"'] : []),
    ...(hasPhotos ? [] : [SYNTHETIC]),
  ];
}

async function calibrationList(folder: string, wanted: number | undefined): Promise<string[]> {
  const images = await listImages(folder);
  if (wanted !== undefined && wanted > images.length) {
    throw new QuantizeError(
      'CALIBRATION_IMAGES',
      `${folder}: expected the ${plural(wanted, 'image')} of --calibration-images, found ${images.length}`,
    );
  }
  return images.map((path) => joinPath(folder, path));
}

function json({ args, warnings, floatBytes, result, report, ms }: Summary) {
  const { architecture, preprocessing, output, recipe } = result.model;
  return {
    file: args.output,
    bytes: result.bytes.length,
    source: { file: shownSource(args.float), bytes: floatBytes, sha256: recipe.sourceSha256 },
    architecture,
    preprocessing,
    output,
    recipe,
    images: recipe.calibrationImages,
    skipped: result.skipped.map(({ image, error: { code, message } }) => ({
      file: String(image),
      code,
      message,
    })),
    warnings,
    ...(report ? { report: { file: args.report, ...report } } : {}),
    ms: Math.round(ms),
  };
}

function printSummary({ args, floatBytes, result, report, ms }: Summary): void {
  const { architecture, preprocessing, labels, output, recipe } = result.model;
  const { skipped } = result;
  const ratio = (floatBytes / result.bytes.length).toFixed(1);
  const rows = [
    ['model', architecture.name],
    ...(labels.length > 0 ? [['logits', MEANINGS[output]]] : []),
    ['preprocessing', describePreprocessing(preprocessing)],
    ['float', `${formatBytes(floatBytes)}, ${shownSource(args.float)}`],
    ['integer', `${formatBytes(result.bytes.length)}, ${args.output} (${ratio} times smaller)`],
    ['method', describeMethod(recipe)],
    ['images', describeImages(recipe, skipped.length)],
    ['time', formatDuration(ms)],
    ...(report ? reportRows(report, args.report!, output) : []),
  ];
  for (const line of columns(rows)) print(escapeControls(line));
  for (const { error } of skipped.slice(0, SKIPPED_SHOWN)) note(`fqvit: skipped: ${error.message}`);
  if (skipped.length > SKIPPED_SHOWN) note(`fqvit: skipped: ${skipped.length - SKIPPED_SHOWN} more`);
  print(`\nTry it: fqvit classify PHOTO --model ${escapeControls(shellQuoted(args.output))}`);
}

function reportRows(
  { top1, msPerImage, ...report }: ReportSummary,
  file: string,
  output: Output,
): string[][] {
  const beside = ({ integer, float }: Both, digits: number, unit: string) =>
    `${integer.toPrecision(digits)}${unit}, float ${float.toPrecision(digits)}${unit}`;
  return [
    ['report', `${file}${agreementOf(report, output)}`],
    ...(top1 ? [['top-1', beside(top1, 3, ' %')]] : []),
    ...(msPerImage ? [['per image', beside(msPerImage, 3, ' ms')]] : []),
  ];
}

function describeImages({ calibrationImages, calibration }: Recipe, skipped: number): string {
  return calibration === 'synthetic'
    ? plural(calibrationImages, 'synthetic picture')
    : `${calibrationImages} used, ${skipped} skipped`;
}

function agreementOf({ agreement, difference, photos, seen }: ReportSummary, output: Output): string {
  if (photos === undefined) return '';
  const on = `${plural(photos, 'photo')}${seen ? ' that calibrated' : ''}`;
  if (difference !== undefined) return ` (${formatValue(difference)} from float on average, on ${on})`;
  if (agreement === undefined) return '';
  const share = `${agreement.toFixed(1)} %`;
  return output === 'softmax'
    ? ` (${share} of ${on} in the same class as float)`
    : ` (${share} of decisions as the float model, on ${on})`;
}

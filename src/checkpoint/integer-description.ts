import { CheckpointError } from '../errors.js';
import {
  type Architecture,
  GELUS,
  pooledTokens,
  SWIN_LIMITS,
  type SwinArchitecture,
  stageFault,
  swinStages,
  VIT_POOLS,
  type VitArchitecture,
} from './architecture.js';
import type { Rgb } from './float-config.js';
import { highestCode, integerLayout, STEP_RANGES } from './integer-layout.js';
import { INTERPOLATIONS, type Interpolation } from './interpolation.js';
import { LEAST_CROP, LIMITS, workFault } from './limits.js';
import { type Output, outputsOf } from './output.js';
import { quantizeCommand } from './quantize-command.js';
import { quoted } from './safetensors-header.js';
import { shown } from './shown.js';

export const FORMAT = 'fqvit-integer';
export const VERSION = 1;

/**
 * The longest JSON document to parse, in characters: 100,000 labels of 160. Bounds what a hostile
 * file can make `JSON.parse` build: empty objects of this length take 0.5 GB and 3 s.
 */
export const MAX_DESCRIPTION_CHARACTERS = 2 ** 24;

/** With a larger scale, a dequantised code could exceed the range of float32. */
export const MAX_SCALE = 1e36;

/** How an image becomes pixels: timm's evaluation transform. */
export interface ModelPreprocessing {
  /** Side length in pixels of the square that the model reads. */
  readonly imageSize: number;
  /** Side of the centre crop divided by the resized short side, in (0, 1]. */
  readonly cropPct: number;
  /** The filter of the resize. */
  readonly interpolation: Interpolation;
  /** Resizes to a square before the crop, instead of only the short side. */
  readonly squash?: boolean;
  /** Rounds half of an odd crop margin down, as transformers does, instead of to even. */
  readonly cropRounding?: 'down';
  /** For pixels in 0..1. */
  readonly mean: Rgb;
  /** For pixels in 0..1. */
  readonly std: Rgb;
}

/** The observers that a recipe may name for ordinary activations. */
export type ObserverName = 'minmax' | 'ema' | 'percentile' | 'omse';
export const OBSERVER_NAMES: readonly ObserverName[] = ['minmax', 'ema', 'percentile', 'omse'];
/**
 * `fq` is the paper's method: PTF and Log-Int-Softmax. `best` improves on it (docs/accuracy.md).
 * The others are the baselines of the paper's table.
 */
export type Method = 'fq' | 'best' | ObserverName;
export const METHODS: readonly Method[] = ['fq', 'best', ...OBSERVER_NAMES];

/**
 * Codes of attention probabilities. `log2`: 2^-code, 4 bits (the paper's Log-Int-Softmax);
 * `eighths`: 2^(-code/8), 7 bits; `uniform`: scale · code, 8 bits.
 */
export type AttentionCodes = 'log2' | 'eighths' | 'uniform';
export const ATTENTION_CODES: readonly AttentionCodes[] = ['log2', 'eighths', 'uniform'];

/** The widths of weight codes that a recipe may choose. */
export type WeightBits = 8 | 7 | 6 | 5 | 4;
export const WEIGHT_BITS: readonly WeightBits[] = [8, 7, 6, 5, 4];
/** The widths of the codes that linear layers read. */
export type ActivationBits = 8 | 7;
export const ACTIVATION_BITS: readonly ActivationBits[] = [8, 7];

/** How the checkpoint was made. */
export interface Recipe {
  /** The method of quantisation. */
  readonly method: Method;
  /**
   * For ordinary activations. `search`: the observer with the least error of the block's output.
   */
  readonly observer: ObserverName | 'search';
  /** Power-of-two factors on the inputs of LayerNorm. */
  readonly ptf: boolean;
  /** What the codes of attention probabilities stand for. */
  readonly attention: AttentionCodes;
  /** For the linear layers inside the blocks; integer-layout.ts has the rule for the others. */
  readonly weightBits: WeightBits;
  /** For the inputs of these layers; integer-layout.ts has the rule for the others. */
  readonly activationBits: ActivationBits;
  /** Number of calibration images. */
  readonly calibrationImages: number;
  /** Present if the quantiser generated the calibration images. */
  readonly calibration?: 'synthetic';
  /** Selects the calibration images; null for an explicit list. */
  readonly seed: number | null;
  /** SHA-256 of the float checkpoint, hexadecimal. */
  readonly sourceSha256: string;
  /** Which model of a float checkpoint that holds several. */
  readonly weights?: string;
}

/** Affine: real = scale·(code - zeroPoint). The scale is documentation: no kernel reads it. */
export interface QuantizerScale {
  /** The real distance between two neighbouring codes. */
  readonly scale: number;
  /** The code of zero. */
  readonly zeroPoint: number;
}

/** The integer parameters of a step: see `STEP_RANGES` in integer-layout.ts. */
export type Step = Readonly<Record<string, number>>;

/** The JSON document of an integer checkpoint. */
export interface Description {
  /** Marks an integer checkpoint. */
  readonly format: typeof FORMAT;
  /** Version of the format. */
  readonly version: typeof VERSION;
  /** Family and sizes. */
  readonly architecture: Architecture;
  /** How an image becomes pixels. */
  readonly preprocessing: ModelPreprocessing;
  /** Names of the classes, by index. */
  readonly labels: readonly string[];
  /** WordNet ids of the classes, if known. */
  readonly wnids?: readonly string[];
  /** What the logits mean; ignore it for a backbone, which has none. */
  readonly output: Output;
  /** How the checkpoint was made. */
  readonly recipe: Recipe;
  /** By the name of the activation or embedding that each one quantises. */
  readonly quantizers: ReadonlyMap<string, QuantizerScale>;
  /** Integers of the steps that need more than tensors, by name. */
  readonly steps: ReadonlyMap<string, Step>;
}

/** The hint for a float checkpoint, which may also have `fqvit` metadata, but without a format. */
export function floatHint(file: string): string {
  return `this is a float model: ${quantizeCommand(file)}`;
}

/** Whether a metadata document claims to be that of an integer checkpoint, of any version. */
export function saysInteger(text: string): boolean {
  if (text.length > MAX_DESCRIPTION_CHARACTERS) return false;
  try {
    const json: unknown = JSON.parse(text);
    return typeof json === 'object' && json !== null && 'format' in json && json.format === FORMAT;
  } catch {
    return false;
  }
}

/**
 * Parses the JSON document of an integer checkpoint and checks every key.
 *
 * @throws CheckpointError `MODEL_KIND`, `MODEL_VERSION`, `MODEL_DESCRIPTION`
 */
export function parseDescription(text: string, file: string): Description {
  if (text.length > MAX_DESCRIPTION_CHARACTERS) {
    throw new CheckpointError(
      'MODEL_DESCRIPTION',
      `${file}: description: expected at most ${MAX_DESCRIPTION_CHARACTERS} characters, found ${text.length}`,
    );
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new CheckpointError(
      'MODEL_DESCRIPTION',
      `${file}: description: expected JSON, found ${quoted(text)}`,
      { cause },
    );
  }
  return checkDescription(json, file);
}

/**
 * Checks the parts of a float checkpoint that the quantiser copies, so that an unsupported model
 * fails before calibration instead of after it.
 *
 * @throws CheckpointError `MODEL_DESCRIPTION`
 */
export function checkQuantizable(
  model: Pick<Description, 'architecture' | 'preprocessing'>,
  file: string,
): void {
  const root = new Checked(model, file, 'model');
  checkPreprocessing(root.child('preprocessing'), checkArchitecture(root.child('architecture')).imageSize);
}

function checkDescription(json: unknown, file: string): Description {
  const root = new Checked(json, file, 'description');
  const format = root.value('format');
  if (format !== FORMAT) {
    throw new CheckpointError(
      'MODEL_KIND',
      `${file}: expected an integer checkpoint (format "${FORMAT}"), found ` +
        (format === undefined
          ? `a description without a format; ${floatHint(file)}`
          : `format ${shown(format)}`),
    );
  }
  if (root.value('version') !== VERSION) {
    throw new CheckpointError(
      'MODEL_VERSION',
      `${file}: expected format version ${VERSION}, found ${shown(root.value('version'))}`,
    );
  }
  const architecture = checkArchitecture(root.child('architecture'));
  const preprocessing = checkPreprocessing(root.child('preprocessing'), architecture.imageSize);
  const labels = root.strings('labels', architecture.classes);
  const wnids =
    root.value('wnids') === undefined ? {} : { wnids: root.strings('wnids', architecture.classes) };
  const output = checkOutput(root, architecture.classes);
  const recipe = checkRecipe(root.child('recipe'));
  const layout = integerLayout({ architecture, recipe });
  const quantizers = root.child('quantizers');
  quantizers.onlyKeys(layout.quantizers);
  const steps = root.child('steps');
  steps.onlyKeys([...layout.steps.keys()]);
  root.onlyKeys([
    'format',
    'version',
    'architecture',
    'preprocessing',
    'labels',
    'wnids',
    'output',
    'recipe',
    'quantizers',
    'steps',
  ]);
  return {
    format: FORMAT,
    version: VERSION,
    architecture,
    preprocessing,
    labels,
    ...wnids,
    output,
    recipe,
    quantizers: new Map(
      layout.quantizers.map((name) => [
        name,
        checkQuantizer(quantizers.child(name), highestCode(name, recipe)),
      ]),
    ),
    steps: new Map(
      [...layout.steps].map(([name, kind]) => [name, checkStep(steps.child(name), STEP_RANGES[kind])]),
    ),
  };
}

function checkArchitecture(a: Checked): Architecture {
  const architecture = a.oneOf('family', ['deit', 'vit', 'swin']) === 'swin' ? checkSwin(a) : checkVit(a);
  const fault = workFault(architecture);
  return fault === undefined ? architecture : a.refuse(fault);
}

const COMMON_KEYS = ['family', 'name', 'imageSize', 'patchSize', 'dim', 'mlpDim', 'classes', 'gelu'];

function checkCommon(
  a: Checked,
): Pick<Architecture, 'name' | 'imageSize' | 'patchSize' | 'classes' | 'gelu'> {
  const imageSize = a.integer('imageSize', 1, LIMITS.imageSize);
  const patchSize = a.integer('patchSize', 1, LIMITS.patchSize);
  if (imageSize % patchSize !== 0) a.fail('imageSize', `a multiple of the patch size ${patchSize}`);
  const name = a.string('name');
  if (!/^[\w.-]{1,100}$/.test(name)) a.fail('name', '1 to 100 letters, digits, "_", "." or "-"');
  const gelu = a.value('gelu') === undefined ? {} : { gelu: a.oneOf('gelu', GELUS) };
  return { name, imageSize, patchSize, classes: a.integer('classes', 0, LIMITS.classes), ...gelu };
}

function checkVit(a: Checked): VitArchitecture {
  const { name, imageSize, patchSize, classes, ...gelu } = checkCommon(a);
  if ((imageSize / patchSize) ** 2 >= LIMITS.tokens)
    a.fail('imageSize', `fewer than ${LIMITS.tokens} patches`);
  const dim = a.multipleOf8('dim', LIMITS.dim);
  const heads = a.integer('heads', 1, dim);
  checkHeads(a, heads, dim);
  a.onlyKeys([...COMMON_KEYS, 'depth', 'heads', 'prefix', 'pool']);
  const prefix = a.value('prefix') === undefined ? {} : { prefix: a.integer('prefix', 0, LIMITS.prefix) };
  const pool = a.value('pool') === undefined ? {} : { pool: a.oneOf('pool', VIT_POOLS) };
  if (pooledTokens({ family: 'vit', ...pool }) > (prefix.prefix ?? 1))
    a.fail('prefix', 'at least the tokens that the head reads');
  return {
    family: a.oneOf('family', ['deit', 'vit']),
    name,
    imageSize,
    patchSize,
    dim,
    depth: a.integer('depth', 1, LIMITS.depth),
    heads,
    mlpDim: a.multipleOf8('mlpDim', LIMITS.mlpDim),
    classes,
    ...prefix,
    ...pool,
    ...gelu,
  };
}

function checkSwin(a: Checked): SwinArchitecture {
  const { name, imageSize, patchSize, classes, ...gelu } = checkCommon(a);
  const depths = a.integers('depths', SWIN_LIMITS.stages, SWIN_LIMITS.depth);
  const heads = a.integers('heads', SWIN_LIMITS.stages, LIMITS.dim);
  if (heads.length !== depths.length) a.fail('heads', `as many stages as depths, ${depths.length}`);
  const architecture: SwinArchitecture = {
    family: 'swin',
    name,
    imageSize,
    patchSize,
    dim: a.multipleOf8('dim', LIMITS.dim),
    depths,
    heads,
    mlpDim: a.multipleOf8('mlpDim', LIMITS.mlpDim),
    window: a.integer('window', 1, SWIN_LIMITS.window),
    classes,
    ...gelu,
  };
  a.onlyKeys([...COMMON_KEYS, 'depths', 'heads', 'window']);
  const stages = swinStages(architecture);
  const last = stages.at(-1)!;
  if (last.dim > LIMITS.dim || (stages.length > 1 && 2 * last.dim > LIMITS.dim))
    a.fail(
      'dim',
      `at most ${LIMITS.dim} channels in the last stage and in every merge (four times its stage)`,
    );
  if (last.mlpDim > LIMITS.mlpDim) a.fail('mlpDim', `at most ${LIMITS.mlpDim} in the last stage`);
  if (stages[0]!.side ** 2 > SWIN_LIMITS.patches)
    a.fail('imageSize', `at most ${SWIN_LIMITS.patches} patches`);
  const fault = stageFault(architecture);
  if (fault !== undefined) a.fail('window', `a window and an image size that fit every stage (${fault})`);
  for (const stage of stages) checkHeads(a, stage.heads, stage.dim);
  return architecture;
}

function checkHeads(a: Checked, heads: number, dim: number): void {
  if (dim % heads !== 0) a.fail('heads', `a divisor of the dimension ${dim}`);
  if ((dim / heads) % 8 !== 0) a.fail('heads', `a head dimension (${dim}/${heads}) that is a multiple of 8`);
}

function checkPreprocessing(p: Checked, imageSize: number): ModelPreprocessing {
  if (p.integer('imageSize', 1, LIMITS.imageSize) !== imageSize) {
    p.fail('imageSize', `${imageSize}, as in the architecture`);
  }
  const cropPct = p.number('cropPct');
  if (!(cropPct >= LEAST_CROP && cropPct <= 1)) p.fail('cropPct', `a number from ${LEAST_CROP} to 1`);
  p.onlyKeys(['imageSize', 'cropPct', 'interpolation', 'squash', 'cropRounding', 'mean', 'std']);
  const squash = p.value('squash');
  if (squash !== undefined && squash !== true) p.fail('squash', 'true, or nothing');
  const std = p.triple('std');
  if (std.some((value) => value <= 0)) p.fail('std', 'positive numbers');
  return {
    imageSize,
    cropPct,
    interpolation: p.oneOf('interpolation', INTERPOLATIONS),
    ...(squash ? { squash } : {}),
    ...(p.value('cropRounding') === undefined ? {} : { cropRounding: p.oneOf('cropRounding', ['down']) }),
    mean: p.triple('mean'),
    std,
  };
}

function checkOutput(root: Checked, classes: number): Output {
  const outputs = outputsOf(classes);
  const output = root.value('output') as Output | undefined;
  if (output === undefined) return outputs[0]!;
  if (!outputs.includes(output)) root.fail('output', `${outputs.join(' or ')} for ${classes} classes`);
  return output;
}

function checkRecipe(r: Checked): Recipe {
  const sourceSha256 = r.string('sourceSha256');
  if (!/^[0-9a-f]{64}$/.test(sourceSha256)) r.fail('sourceSha256', '64 hexadecimal digits');
  const ptf = r.value('ptf');
  if (typeof ptf !== 'boolean') r.fail('ptf', 'true or false');
  r.onlyKeys([
    'method',
    'observer',
    'ptf',
    'attention',
    'weightBits',
    'activationBits',
    'calibrationImages',
    'calibration',
    'seed',
    'sourceSha256',
    'weights',
  ]);
  return {
    method: r.oneOf('method', METHODS),
    observer: r.oneOf('observer', [...OBSERVER_NAMES, 'search']),
    ptf: ptf as boolean,
    attention: r.oneOf('attention', ATTENTION_CODES),
    weightBits: r.value('weightBits') === undefined ? 8 : r.oneOf('weightBits', WEIGHT_BITS),
    activationBits: r.value('activationBits') === undefined ? 8 : r.oneOf('activationBits', ACTIVATION_BITS),
    calibrationImages: r.integer('calibrationImages', 1, Number.MAX_SAFE_INTEGER),
    ...(r.value('calibration') === undefined ? {} : { calibration: r.oneOf('calibration', ['synthetic']) }),
    seed: r.value('seed') === null ? null : r.integer('seed', 0, Number.MAX_SAFE_INTEGER),
    sourceSha256,
    ...(r.value('weights') === undefined ? {} : { weights: r.string('weights') }),
  };
}

function checkQuantizer(q: Checked, highest: number): QuantizerScale {
  const scale = q.number('scale');
  if (!(scale > 0 && scale <= MAX_SCALE)) q.fail('scale', `a positive number, at most ${MAX_SCALE}`);
  q.onlyKeys(['scale', 'zeroPoint']);
  return { scale, zeroPoint: q.integer('zeroPoint', 0, highest) };
}

function checkStep(step: Checked, ranges: Readonly<Record<string, readonly [number, number]>>): Step {
  step.onlyKeys(Object.keys(ranges));
  return Object.fromEntries(
    Object.entries(ranges).map(([key, [low, high]]) => [key, step.integer(key, low, high)]),
  );
}

/** A JSON object being checked. Errors name the path, what was expected and what was found. */
class Checked {
  readonly #object: Record<string, unknown>;

  constructor(
    json: unknown,
    private readonly file: string,
    private readonly path: string,
  ) {
    if (typeof json !== 'object' || json === null || Array.isArray(json)) {
      throw new CheckpointError(
        'MODEL_DESCRIPTION',
        `${file}: ${path}: expected an object, found ${found(json)}`,
      );
    }
    this.#object = json as Record<string, unknown>;
  }

  refuse(message: string): never {
    throw new CheckpointError('MODEL_DESCRIPTION', `${this.file}: ${this.path}: ${message}`);
  }

  fail(key: string, expected: string): never {
    throw new CheckpointError(
      'MODEL_DESCRIPTION',
      `${this.file}: ${this.path}.${key}: expected ${expected}, found ${found(this.value(key))}`,
    );
  }

  value(key: string): unknown {
    return Object.hasOwn(this.#object, key) ? this.#object[key] : undefined;
  }

  child(key: string): Checked {
    return new Checked(this.value(key), this.file, `${this.path}.${key}`);
  }

  onlyKeys(keys: readonly string[]): void {
    const known = new Set(keys);
    for (const key of Object.keys(this.#object)) {
      if (known.has(key)) continue;
      throw new CheckpointError(
        'MODEL_DESCRIPTION',
        `${this.file}: ${this.path}: expected only the keys of this architecture and version, found ${quoted(key)}`,
      );
    }
  }

  string(key: string): string {
    const value = this.value(key);
    return typeof value === 'string' ? value : this.fail(key, 'a string');
  }

  number(key: string): number {
    const value = this.value(key);
    return typeof value === 'number' && Number.isFinite(value) ? value : this.fail(key, 'a finite number');
  }

  integer(key: string, low: number, high: number): number {
    const value = this.value(key);
    return Number.isSafeInteger(value) && (value as number) >= low && (value as number) <= high
      ? (value as number)
      : this.fail(key, `an integer from ${low} to ${high}`);
  }

  /** A list of 1 to `most` integers from 1 to `high`. */
  integers(key: string, most: number, high: number): readonly number[] {
    const value = this.value(key);
    const isInteger = (item: unknown) =>
      Number.isSafeInteger(item) && (item as number) >= 1 && (item as number) <= high;
    return Array.isArray(value) && value.length >= 1 && value.length <= most && value.every(isInteger)
      ? value
      : this.fail(key, `a list of 1 to ${most} integers from 1 to ${high}`);
  }

  multipleOf8(key: string, high: number): number {
    const value = this.integer(key, 8, high);
    return value % 8 === 0 ? value : this.fail(key, 'a multiple of 8');
  }

  oneOf<T extends string | number>(key: string, choices: readonly T[]): T {
    const value = this.value(key);
    return choices.includes(value as T) ? (value as T) : this.fail(key, `one of ${choices.join(', ')}`);
  }

  strings(key: string, count: number): string[] {
    const value = this.value(key);
    if (!Array.isArray(value) || value.some((item) => typeof item !== 'string'))
      this.fail(key, 'a list of strings');
    const list = value as string[];
    if (list.length !== count) {
      throw new CheckpointError(
        'MODEL_DESCRIPTION',
        `${this.file}: ${this.path}.${key}: expected ${count} ${key}, one for each class, found ${list.length}`,
      );
    }
    return list;
  }

  triple(key: string): Rgb {
    const value = this.value(key);
    if (!Array.isArray(value) || value.length !== 3 || !value.every(Number.isFinite))
      this.fail(key, 'three numbers');
    const [r, g, b] = value as [number, number, number];
    return [r, g, b];
  }
}

function found(value: unknown): string {
  return value === undefined ? 'nothing' : shown(value);
}

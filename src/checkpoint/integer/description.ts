import { type Architecture, SWIN_LIMITS, VIT_POOLS } from '../../architecture/architecture.js';
import { type Output, outputsOf } from '../../architecture/output.js';
import { CheckpointError } from '../../errors.js';
import { INTERPOLATIONS, type Interpolation } from '../../image/resize/interpolation.js';
import type { Rgb } from '../../image/types.js';
import { Checked } from '../../layers/checked.js';
import { GELUS } from '../../layers/gelu/layer.js';
import {
  ATTENTION_CODES,
  type AttentionCodes,
  type IntegerActivation,
  type QuantizerScale,
} from '../../layers/integer-activation.js';
import { INTEGER_KIND_NAMES, type IntegerLayer, integerKind } from '../../layers/integer-kinds.js';
import { LEAST_CROP, LIMITS } from '../../layers/limits.js';
import { WEIGHT_BITS, type WeightBits } from '../../layers/linear/integer.js';
import type { Outputs } from '../../networks/network.js';
import { formatValue } from '../../text/format-value.js';
import { quantizeCommand } from '../../text/quantize-command.js';
import { quote } from '../../text/quote.js';
import { type Program, traceProgram } from './program.js';

export { ATTENTION_CODES, type AttentionCodes, type QuantizerScale, WEIGHT_BITS, type WeightBits };

export const FORMAT = 'fqvit-integer';
export const VERSION = 2;

/**
 * The longest JSON document to parse, in characters: 100,000 labels of 160. Bounds what a hostile
 * file can make `JSON.parse` build: empty objects of this length take 0.5 GB and 3 s.
 */
export const MAX_DESCRIPTION_CHARACTERS = 2 ** 24;

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
  /** For the linear layers inside the blocks. */
  readonly weightBits: WeightBits;
  /** For the inputs of these layers. */
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

/** The JSON document of an integer checkpoint. */
export interface Description {
  /** Marks an integer checkpoint. */
  readonly format: typeof FORMAT;
  /** Version of the format. */
  readonly version: typeof VERSION;
  /** Family and sizes, for information: the layers are what runs. */
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
  /** The network. */
  readonly program: Program;
  /** The layers that others read, by their meaning. */
  readonly outputs: Outputs;
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
      `${file}: description: expected JSON, found ${quote(text)}`,
      { cause },
    );
  }
  return checkDescription(json, file);
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
          : `format ${formatValue(format)}`),
    );
  }
  checkVersion(root.value('version'), file);
  const layers = checkLayers(root, file);
  const preprocessing = checkPreprocessing(root.child('preprocessing'));
  const refuse = (layer: IntegerLayer | undefined, message: string): never =>
    new Checked({}, file, layer === undefined ? 'description.layers' : pathOf(layer.name)).refuse(message);
  const program = traceProgram(layers, preprocessing.imageSize, refuse);
  const outputs = checkOutputs(root.child('outputs'), program.activations);
  const classes = outputs.logits === undefined ? 0 : program.activations.get(outputs.logits)!.columns;
  const architecture = checkArchitecture(root.child('architecture'), preprocessing.imageSize, classes);
  const labels = root.strings('labels', classes);
  const wnids = root.value('wnids') === undefined ? {} : { wnids: root.strings('wnids', classes) };
  const output = checkOutput(root, classes);
  root.onlyKeys([
    'format',
    'version',
    'architecture',
    'preprocessing',
    'labels',
    'wnids',
    'output',
    'recipe',
    'layers',
    'outputs',
  ]);
  return {
    format: FORMAT,
    version: VERSION,
    architecture,
    preprocessing,
    labels,
    ...wnids,
    output,
    recipe: checkRecipe(root.child('recipe')),
    program,
    outputs,
  };
}

/** @throws CheckpointError `MODEL_VERSION` */
function checkVersion(version: unknown, file: string): void {
  if (version === VERSION) return;
  const hint =
    version === 1 ? '; quantise it again' : Number(version) > VERSION ? '; it needs a newer fqvit' : '';
  throw new CheckpointError(
    'MODEL_VERSION',
    `${file}: expected format version ${VERSION}, found ${formatValue(version)}${hint}`,
  );
}

const pathOf = (name: string) => `description.layers.${name}`;

/** Of what the architecture states. */
const MAX_SIZE = 2 ** 20;

const LAYER_KEYS = ['kind', 'name', 'reads', 'parameters'];

function checkLayers(root: Checked, file: string): IntegerLayer[] {
  const list = root.value('layers');
  if (!Array.isArray(list) || list.length === 0 || list.length > LIMITS.layers)
    root.fail('layers', `a list of 1 to ${LIMITS.layers} layers`);
  return (list as unknown[]).map((json, i) => checkLayer(json, file, `description.layers[${i}]`));
}

function checkLayer(json: unknown, file: string, path: string): IntegerLayer {
  const name = checkName(new Checked(json, file, path), 'name');
  const layer = new Checked(json, file, pathOf(name), LAYER_KEYS);
  const kind = layer.string('kind') as IntegerLayer['kind'];
  if (!INTEGER_KIND_NAMES.includes(kind)) {
    throw new CheckpointError(
      'MODEL_VERSION',
      `${file}: ${pathOf(name)}.kind: expected one of ${INTEGER_KIND_NAMES.join(', ')}, found ${formatValue(kind)}; it needs a newer fqvit`,
    );
  }
  return {
    kind,
    name,
    reads: layer.names('reads', 2),
    ...(layer.value('parameters') === undefined ? {} : { parameters: checkName(layer, 'parameters') }),
    ...integerKind<IntegerLayer>({ kind }).parse(layer),
  } as IntegerLayer;
}

function checkName(layer: Checked, key: string): string {
  const name = layer.string(key);
  return /^[\w.]+$/.test(name) && name.length <= LIMITS.name
    ? name
    : layer.fail(key, `1 to ${LIMITS.name} letters, digits, "_" or "."`);
}

function checkOutputs(json: Checked, activations: ReadonlyMap<string, IntegerActivation>): Outputs {
  json.onlyKeys(['logits', 'features', 'attention']);
  const vector = (owner: Checked, key: string) => {
    const name = owner.string(key);
    const found = activations.get(name);
    if (found?.element !== 'codes' || found.rows !== 1 || found.partial !== undefined)
      owner.fail(key, 'a layer that makes one row of codes');
    return name;
  };
  const features = json.child('features');
  features.onlyKeys(['layer', 'tokens']);
  const layer = vector(features, 'layer');
  const tokens = features.integer('tokens', 1, LIMITS.prefix);
  const made = activations.get(layer)!;
  if (made.columns % tokens !== 0) features.fail('tokens', `a divisor of the ${made.columns} columns`);
  if (made.factors !== undefined) features.fail('layer', 'codes of one scale');
  return {
    ...(json.value('logits') === undefined ? {} : { logits: vector(json, 'logits') }),
    features: { layer, tokens },
    ...(json.value('attention') === undefined
      ? {}
      : { attention: checkAttention(json.child('attention'), activations) }),
  };
}

function checkAttention(
  json: Checked,
  activations: ReadonlyMap<string, IntegerActivation>,
): NonNullable<Outputs['attention']> {
  json.onlyKeys(['layers', 'prefix', 'read']);
  const layers = json.names('layers', LIMITS.layers);
  const prefix = json.integer('prefix', 0, LIMITS.prefix);
  const read = json.pair('read', 0, LIMITS.rows);
  const found = layers.map((name) => activations.get(name));
  const tokens = found[0]?.heads?.tokens ?? 0;
  const isSquare = tokens > prefix && Number.isInteger(Math.sqrt(tokens - prefix));
  for (const [i, made] of found.entries()) {
    const rows =
      made?.heads?.queries === tokens || (i === found.length - 1 && made?.heads?.queries === read[1]);
    const isCode = made !== undefined && made.element !== 'codes' && made.element !== 'fine';
    if (!isSquare || !isCode || made.heads?.tokens !== tokens || made.heads.windows !== 1 || !rows)
      json.fail('layers', 'softmax layers of the same square of patches, in order of execution');
  }
  if (layers.length === 0) json.fail('layers', 'at least one softmax layer');
  if (!(read[0] < read[1] && read[1] <= tokens)) json.fail('read', `a range of the ${tokens} tokens`);
  return { layers, prefix, read };
}

/** The architecture is shown, never executed: the layers are what runs. */
function checkArchitecture(a: Checked, imageSize: number, classes: number): Architecture {
  if (!/^[\w.-]{1,100}$/.test(a.string('name'))) a.fail('name', '1 to 100 letters, digits, "_", "." or "-"');
  if (a.value('imageSize') !== imageSize) a.fail('imageSize', `${imageSize}, as in the preprocessing`);
  if (a.value('classes') !== classes) a.fail('classes', `${classes}, as many as there are logits`);
  for (const key of ['patchSize', 'dim', 'mlpDim']) a.integer(key, 1, MAX_SIZE);
  if (a.value('gelu') !== undefined) a.oneOf('gelu', GELUS);
  const keys = ['family', 'name', 'imageSize', 'classes', 'patchSize', 'dim', 'mlpDim', 'gelu', 'heads'];
  if (a.oneOf('family', ['deit', 'vit', 'swin']) === 'swin') {
    a.onlyKeys([...keys, 'depths', 'window', 'windows']);
    const { stages, depth, window } = SWIN_LIMITS;
    const { length } = a.integers('depths', [1, stages], 1, depth);
    a.integers('heads', [length, length], 1, MAX_SIZE);
    a.integer('window', 1, window);
    if (a.value('windows') !== undefined) a.integers('windows', [length, length], 1, window);
  } else {
    a.onlyKeys([...keys, 'depth', 'prefix', 'pool']);
    a.integer('depth', 1, LIMITS.layers);
    a.integer('heads', 1, MAX_SIZE);
    if (a.value('prefix') !== undefined) a.integer('prefix', 0, LIMITS.prefix);
    if (a.value('pool') !== undefined) a.oneOf('pool', VIT_POOLS);
  }
  return a.object as unknown as Architecture;
}

/** @throws CheckpointError `MODEL_DESCRIPTION` */
export function checkPreprocessing(p: Checked): ModelPreprocessing {
  const imageSize = p.integer('imageSize', 1, LIMITS.imageSize);
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

import {
  type Family,
  type SwinArchitecture,
  swinStages,
  tokenCount,
  type VitArchitecture,
} from '../checkpoint/architecture.js';
import type { FloatModel } from '../checkpoint/float-model.js';
import {
  type Description,
  FORMAT,
  MAX_SCALE,
  type QuantizerScale,
  type Recipe,
  type Step,
  VERSION,
} from '../checkpoint/integer-description.js';
import { highestCode, integerLayout, weightBits } from '../checkpoint/integer-layout.js';
import type { IntegerArray, IntegerModel } from '../checkpoint/integer-model.js';
import { packNibbles } from '../checkpoint/nibbles.js';
import { QuantizeError } from '../errors.js';
import { type AdditionParameters, additionParameters, type ChannelScale, scaleOf } from './addition.js';
import { exactExponentialTable, exponentialTable } from './exponential-table.js';
import { ErrorFeedback } from './feedback.js';
import { geluTable } from './gelu.js';
import { inputQuantizer } from './input.js';
import { FULL_MANTISSA, layerNormParameters, PAPER_MANTISSA } from './layernorm.js';
import type { Moments } from './moments.js';
import type { Quantizer } from './observers.js';
import { requantizer } from './requantizer.js';
import { affineCode, clamp } from './round.js';
import { linearCodes, MAX_BIAS } from './weights.js';

/**
 * Turns a float model and the quantisers of its activations into an integer checkpoint: codes
 * instead of weights, integer multipliers and shifts instead of scales, tables instead of
 * functions.
 *
 * @param quantizers by the names of `integerLayout`
 * @param moments of the inputs of linear layers, by the names of their quantisers: the weights of
 *   those layers are rounded with error feedback, all others to nearest
 * @throws QuantizeError `QUANTIZER_MISSING`, `QUANTIZER_RANGE` for a scale that is 0, infinite or
 *   NaN
 */
export function integerize(...parameters: Parameters<typeof integerizeByLayer>): IntegerModel {
  const layers = integerizeByLayer(...parameters);
  let layer = layers.next();
  while (!layer.done) layer = layers.next();
  return layer.value;
}

/**
 * Like `integerize`, but yields before every linear layer: error feedback takes long.
 */
export function* integerizeByLayer(
  model: FloatModel,
  quantizers: ReadonlyMap<string, Quantizer>,
  recipe: Recipe,
  moments: ReadonlyMap<string, Moments> = new Map(),
): Layers<IntegerModel> {
  return yield* new Integerizer(model, quantizers, recipe, moments).run();
}

type Layers<Result> = Generator<void, Result>;

class Integerizer {
  readonly #tensors = new Map<string, IntegerArray>();
  readonly #steps = new Map<string, Step>();
  readonly #scales = new Map<string, QuantizerScale>();

  constructor(
    private readonly model: FloatModel,
    private readonly quantizers: ReadonlyMap<string, Quantizer>,
    private readonly recipe: Recipe,
    private readonly moments: ReadonlyMap<string, Moments>,
  ) {}

  *run(): Layers<IntegerModel> {
    const { layerNormEps: _, ...architecture } = this.model.architecture;
    if (architecture.family === 'swin') yield* this.swin(architecture);
    else yield* this.vit(architecture);
    const layout = integerLayout({ architecture, recipe: this.recipe });
    const description: Description = {
      format: FORMAT,
      version: VERSION,
      architecture,
      preprocessing: this.model.preprocessing,
      labels: this.model.labels,
      ...(this.model.wnids ? { wnids: this.model.wnids } : {}),
      output: this.model.output,
      recipe: this.recipe,
      quantizers: new Map(layout.quantizers.map((name) => [name, this.#scales.get(name)!])),
      steps: this.#steps,
    };
    const tensors = new Map(layout.tensors.map(({ name }) => [name, this.#tensors.get(name)!]));
    return { ...description, tensors };
  }

  private *vit(architecture: VitArchitecture): Layers<void> {
    const { family, dim, depth, heads, classes, prefix = 1, pool = 'token' } = architecture;
    const tokens = tokenCount(architecture);
    yield* this.patchEmbedding(family, 'patch_embed.out');
    this.tokens(dim, prefix);
    let stream = 'stem.out';
    for (let i = 0; i < depth; i++) {
      const block = `blocks.${i}`;
      yield* this.qkv(block, `${block}.attn.scores`, dim / heads);
      yield* this.block(block, stream, dim, tokens);
      stream = `${block}.residual2.out`;
    }
    if (pool === 'mean-before-norm') {
      this.pool(stream, tokens - prefix);
      this.factors('pooled', this.quantizer('pooled'), dim);
    }
    this.layerNorm('norm', 'norm.out');
    if (pool === 'mean') this.pool('norm.out', tokens - prefix);
    if (classes > 0) yield* this.linear('head', pool === 'mean' ? 'pooled' : 'norm.out', 'logits');
  }

  private *swin(architecture: SwinArchitecture): Layers<void> {
    yield* this.patchEmbedding('swin', 'patch_embed.conv.out');
    this.layerNorm('patch_embed.norm', 'stem.out');
    let stream = 'stem.out';
    const stages = swinStages(architecture);
    for (const { name, dim, depth, heads, window } of stages) {
      for (let j = 0; j < depth; j++) {
        const block = `${name}.blocks.${j}`;
        yield* this.qkv(block, `${block}.attn.qk`, dim / heads);
        this.positionBias(block);
        yield* this.block(block, stream, dim, window ** 2);
        stream = `${block}.residual2.out`;
      }
      if (name === stages.at(-1)!.name) break;
      const reduction = `${name}.downsample.reduction`;
      this.layerNorm(`${name}.downsample.norm`, `${name}.downsample.norm.out`);
      yield* this.linear(reduction, `${name}.downsample.norm.out`, `${reduction}.out`);
      this.factors(reduction, this.quantizer(`${reduction}.out`), 2 * dim);
      stream = `${reduction}.out`;
    }
    this.layerNorm('norm', 'norm.out');
    this.pool('norm.out', stages.at(-1)!.side ** 2);
    if (architecture.classes > 0) yield* this.linear('head', 'pooled', 'logits');
  }

  /** The mean over tokens, which keeps power-of-two factors (observers/pooled.ts). */
  private pool(from: string, tokens: number): void {
    const pooled = this.quantizer('pooled');
    this.product('pooled', this.quantizer(from).scale / pooled.scale / tokens, 255 * tokens);
  }

  private *patchEmbedding(family: Family, output: string): Layers<void> {
    const input = inputQuantizer(family, this.model.preprocessing, this.quantizer('input'));
    this.#scales.set('input', { scale: input.scale, zeroPoint: input.zeroPoint });
    this.#tensors.set('input.table', input.table);
    yield* this.linear('patch_embed.proj', 'input', output, input);
  }

  /** The tokens before the patches, and the position embedding. */
  private tokens(dim: number, prefix: number): void {
    const patches = this.quantizer('patch_embed.out');
    const tokens = this.quantizer('tokens');
    const position = this.quantizer('pos_embed');
    this.#tensors.set(
      'tokens.table',
      Uint8Array.from({ length: 256 }, (_, q) => affineCode((q - patches.zeroPoint) * patches.scale, tokens)),
    );
    if (prefix > 0) this.codes('cls_token', 'cls_token', tokens);
    this.codes('pos_embed', 'pos_embed', position);
    const stem = this.quantizer('stem.out');
    this.addition('stem', stem, additionParameters(tokens, position, stem, dim));
  }

  /** The first half of attention: norm1, q, k, v and the product `scores` of q and k. */
  private *qkv(block: string, scores: string, headDim: number): Layers<void> {
    const qkv = this.quantizer(`${block}.attn.qkv.out`);
    this.layerNorm(`${block}.norm1`, `${block}.norm1.out`);
    yield* this.linear(`${block}.attn.qkv`, `${block}.norm1.out`, `${block}.attn.qkv.out`);
    const factor = qkv.scale ** 2 / Math.sqrt(headDim) / this.quantizer(scores).scale;
    this.product(scores, factor, 255 ** 2 * headDim);
  }

  /** attn.scores = attn.qk + the codes of the relative position bias. */
  private positionBias(block: string): void {
    const bias = this.quantizer(`${block}.attn.bias_table`);
    this.codes(`${block}.attn.relative_position_bias_table`, `${block}.attn.bias_table`, bias);
    const { multipliers, shift } = additionParameters(
      this.quantizer(`${block}.attn.qk`),
      bias,
      this.quantizer(`${block}.attn.scores`),
      1,
    );
    const [multiplier, biasMultiplier] = multipliers as unknown as [number, number];
    this.#steps.set(`${block}.attn.scores`, { multiplier, biasMultiplier, shift });
  }

  /**
   * A block from the softmax on.
   *
   * @param stream the input of the block  @param scores in a row of the softmax
   */
  private *block(name: string, stream: string, dim: number, scores: number): Layers<void> {
    const before = this.quantizer(stream);
    const qkv = this.quantizer(`${name}.attn.qkv.out`);
    const scoreScale = this.quantizer(`${name}.attn.scores`).scale;
    const context = this.quantizer(`${name}.attn.context`);
    const { attention } = this.recipe;
    const table = attention === 'log2' ? exponentialTable : exactExponentialTable;
    this.#tensors.set(`${name}.attn.softmax.table`, table(scoreScale, scores));
    if (attention === 'eighths') {
      const slope = clamp(Math.round(2048 * Math.LOG2E * scoreScale), 1, 2 ** 15 - 1);
      this.#steps.set(`${name}.attn.softmax`, { slope });
    }
    if (attention === 'uniform') {
      const probs = this.quantizer(`${name}.attn.probs`);
      const levels = Math.min(Math.max(Math.round(4096 / probs.scale), 1), 2 ** 30 - 1);
      this.#steps.set(`${name}.attn.softmax`, { levels });
      this.product(`${name}.attn.context`, (probs.scale * qkv.scale) / context.scale, 255 ** 2 * scores);
    } else {
      this.product(`${name}.attn.context`, (-qkv.scale * 2 ** -15) / context.scale, 2 ** 24);
    }
    yield* this.linear(`${name}.attn.proj`, `${name}.attn.context`, `${name}.attn.proj.out`);
    const middle = this.quantizer(`${name}.residual1.out`);
    const projection = this.quantizer(`${name}.attn.proj.out`);
    this.addition(`${name}.residual1`, middle, additionParameters(before, projection, middle, dim));

    this.layerNorm(`${name}.norm2`, `${name}.norm2.out`);
    const gelu = geluTable(
      this.quantizer(`${name}.mlp.gelu.out`),
      highestCode(`${name}.mlp.gelu.out`, this.recipe),
      this.model.architecture.gelu,
    );
    yield* this.linear(`${name}.mlp.fc1`, `${name}.norm2.out`, gelu);
    this.#tensors.set(`${name}.mlp.gelu.table`, gelu.table);
    yield* this.linear(`${name}.mlp.fc2`, `${name}.mlp.gelu.out`, `${name}.mlp.fc2.out`);
    const after = this.quantizer(`${name}.residual2.out`);
    const fc2 = this.quantizer(`${name}.mlp.fc2.out`);
    this.addition(`${name}.residual2`, after, additionParameters(middle, fc2, after, dim));
  }

  /**
   * @param to the quantiser after the layer, or the fine quantiser of a GELU table
   * @param input.offset real input = scale·(code - zeroPoint + offset); its sum over the weights
   *   goes into the bias
   */
  private *linear(
    name: string,
    from: string,
    to: string | (QuantizerScale & ChannelScale),
    input?: { scale: number; offset: number },
  ): Layers<void> {
    yield;
    const { data: weight, shape } = this.model.tensors.get(`${name}.weight`)!;
    const out = shape[0]!;
    const realBias = this.model.tensors.get(`${name}.bias`)?.data ?? new Float32Array(out);
    const inputs = weight.length / out;
    const { scale, offset } = input ?? { scale: this.quantizer(from).scale, offset: 0 };
    const bits = weightBits(name, this.recipe);
    const highest = highestCode(from, this.recipe);
    const target = typeof to === 'string' ? this.quantizer(to) : to;
    const moments = this.moments.get(from);
    const feedback = moments && new ErrorFeedback(moments, scale);
    const { codes, scales, bias } = linearCodes(weight, realBias, scale, target.scale, bits, feedback);
    const biases = new Int32Array(out);
    let bound = 0;
    for (let o = 0; o < out; o++) {
      let sum = 0;
      let magnitude = 0;
      for (const code of codes.subarray(o * inputs, (o + 1) * inputs)) {
        sum += code;
        magnitude += Math.abs(code);
      }
      const b = Math.round(bias[o]! / (scale * scales[o]!) + offset * sum);
      biases[o] = clamp(b, -MAX_BIAS, MAX_BIAS);
      bound = Math.max(bound, highest * magnitude + Math.abs(biases[o]!));
    }
    const factors = Float64Array.from(scales, (s, o) => (scale * s) / scaleOf(target, o));
    const { multipliers, left, right } = requantizer(factors, bound);
    this.#tensors.set(`${name}.weight`, bits === 4 ? packNibbles(codes, inputs) : codes);
    this.#tensors.set(`${name}.bias`, biases);
    this.#tensors.set(`${name}.multiplier`, multipliers);
    this.#steps.set(
      name,
      typeof to === 'string' ? { left, right } : { left, right, zeroPoint: to.zeroPoint },
    );
  }

  private product(name: string, factor: number, bound: number): void {
    const { multipliers, left, right } = requantizer([factor], bound);
    this.#steps.set(name, { multiplier: multipliers[0]!, left, right });
  }

  private layerNorm(name: string, to: string): void {
    const { gain, bias, shift } = layerNormParameters(
      this.float(`${name}.weight`),
      this.float(`${name}.bias`),
      this.quantizer(to).scale,
      this.recipe.method === 'best' ? FULL_MANTISSA : PAPER_MANTISSA,
    );
    this.#tensors.set(`${name}.gain`, gain);
    this.#tensors.set(`${name}.bias`, bias);
    this.#steps.set(name, { shift });
  }

  private addition(name: string, out: ChannelScale, { multipliers, shift }: AdditionParameters): void {
    this.#tensors.set(`${name}.multiplier`, multipliers);
    this.factors(name, out, multipliers.length / 2);
    this.#steps.set(name, { shift });
  }

  private factors(name: string, out: ChannelScale, channels: number): void {
    this.#tensors.set(`${name}.factors`, out.factors ?? new Uint8Array(channels));
  }

  /** A float tensor as codes. */
  private codes(name: string, to: string, quantizer: Quantizer): void {
    const channels = this.model.tensors.get(name)!.shape.at(-1)!;
    this.#tensors.set(
      to,
      Uint8Array.from(this.float(name), (x, i) =>
        affineCode(x, { scale: scaleOf(quantizer, i % channels), zeroPoint: quantizer.zeroPoint }),
      ),
    );
  }

  private float(name: string): Float32Array {
    return this.model.tensors.get(name)!.data;
  }

  private quantizer(name: string): Quantizer {
    const quantizer = this.quantizers.get(name);
    if (quantizer === undefined) {
      throw new QuantizeError(
        'QUANTIZER_MISSING',
        `expected a quantiser "${name}" from the calibration, found none`,
      );
    }
    const { scale, zeroPoint } = quantizer;
    const highest = highestCode(name, this.recipe);
    if (
      !(
        scale > 0 &&
        scale <= MAX_SCALE &&
        Number.isInteger(zeroPoint) &&
        zeroPoint >= 0 &&
        zeroPoint <= highest
      )
    ) {
      throw new QuantizeError(
        'QUANTIZER_RANGE',
        `quantiser "${name}": expected a scale above 0, at most ${MAX_SCALE}, and a zero point from 0 to ${highest}, found ${scale} and ${zeroPoint}`,
      );
    }
    if (!this.#scales.has(name)) this.#scales.set(name, { scale, zeroPoint });
    return quantizer;
  }
}

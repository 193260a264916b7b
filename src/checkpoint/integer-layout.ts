import {
  biasRows,
  pooledTokens,
  type SwinArchitecture,
  swinStages,
  tokenCount,
  type VitArchitecture,
} from './architecture.js';
import type { ActivationBits, Description, Recipe, WeightBits } from './integer-description.js';
import { packedLength } from './nibbles.js';
import type { Dtype } from './safetensors.js';

export interface TensorSpec {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  /** For a table of exponentials: the number of scores in a row of its softmax. */
  readonly scores?: number;
  /** For a weight: the bits of a code. */
  readonly bits?: WeightBits;
  /** The permitted values, inclusive, if they are fewer than the type has. */
  readonly range?: readonly [low: number, high: number];
}

/**
 * Bits of the weights of the linear layer `name`. Patch embedding and head keep at least 7 bits;
 * their inputs keep 8.
 */
export function weightBits(name: string, recipe: Pick<Recipe, 'weightBits'>): WeightBits {
  if (recipe.weightBits > 7) return recipe.weightBits;
  return name === 'patch_embed.proj' || name === 'head' ? 7 : recipe.weightBits;
}

/**
 * Bits of the codes of the quantiser `name`: the recipe's for the inputs of qkv, proj, fc1, fc2 and
 * reduction, 8 for all others.
 */
export function activationBits(name: string, recipe: Pick<Recipe, 'activationBits'>): ActivationBits {
  return isLinearInput(name) ? recipe.activationBits : 8;
}

/** The highest code of the quantiser `name`. */
export function highestCode(name: string, recipe: Pick<Recipe, 'activationBits'>): number {
  return 2 ** activationBits(name, recipe) - 1;
}

/** Whether qkv, proj, fc1, fc2 or reduction reads the output of the quantiser `name`. */
export function isLinearInput(name: string): boolean {
  return /\.(norm1\.out|attn\.context|norm2\.out|mlp\.gelu\.out|downsample\.norm\.out)$/.test(name);
}

/** Entries of a GELU table, which 12-bit fine codes index. */
export const GELU_LEVELS = 4096;

/**
 * The kinds of steps, each with the integer parameters of its kernel: `linear` {left, right},
 * `fine` {left, right, zeroPoint}, `product` {multiplier, left, right}, `bias` {multiplier,
 * biasMultiplier, shift}, `add` and `layernorm` {shift}, `softmax` {levels}, `eighths` {slope}.
 */
export type StepKind = keyof typeof STEP_RANGES;

/** The inclusive ranges of the parameters of each kind of step. */
export const STEP_RANGES = {
  linear: { left: [0, 15], right: [32, 62] },
  fine: { left: [0, 15], right: [32, 62], zeroPoint: [0, 4095] },
  product: { multiplier: [-0x7fffffff, 0x7fffffff], left: [0, 15], right: [32, 62] },
  bias: { multiplier: [0, 0x7fffffff], biasMultiplier: [0, 0x7fffffff], shift: [1, 30] },
  add: { shift: [1, 30] },
  layernorm: { shift: [1, 62] },
  softmax: { levels: [1, 2 ** 30 - 1] },
  eighths: { slope: [1, 2 ** 15 - 1] },
} as const satisfies Record<string, Record<string, readonly [number, number]>>;

/** The contents of an integer checkpoint, in the order of the forward pass. */
export interface IntegerLayout {
  readonly tensors: readonly TensorSpec[];
  /** Names of the activations and embeddings that are quantised. */
  readonly quantizers: readonly string[];
  /** The kind of each step, which determines its parameters in the description. */
  readonly steps: ReadonlyMap<string, StepKind>;
}

/**
 * The layout of the integer checkpoint of an architecture:
 *
 * - A linear layer `X` has `X.weight` int8 `[out, in]` (nibbles.ts packs 4 bits), `X.bias` int32 at
 *   the scale s_in·s_w, and `X.multiplier` int32 for requantisation; the shifts are in the
 *   description.
 * - A LayerNorm has `X.gain` and `X.bias`, int32 fixed point.
 * - An addition has `X.multiplier` int32 `[2, C]`.
 * - The input of a LayerNorm has `X.factors`, the power-of-two factor α of each channel (PTF; all 0
 *   if it is off).
 */
export function integerLayout({
  architecture,
  recipe,
}: Pick<Description, 'architecture' | 'recipe'>): IntegerLayout {
  const layout = new Layout(recipe);
  if (architecture.family === 'swin') layout.swin(architecture);
  else layout.vit(architecture);
  return layout;
}

class Layout implements IntegerLayout {
  readonly tensors: TensorSpec[] = [];
  readonly quantizers: string[] = [];
  readonly steps = new Map<string, StepKind>();

  constructor(private readonly recipe: Recipe) {}

  vit(architecture: VitArchitecture): void {
    const { patchSize, dim, depth, mlpDim, classes, prefix = 1, pool = 'token' } = architecture;
    const tokens = tokenCount(architecture);
    this.patches(patchSize, dim, 'patch_embed.out');
    this.tensor('tokens.table', 'U8', 256);
    if (prefix > 0) this.tensor('cls_token', 'U8', ...(prefix > 1 ? [prefix, dim] : [dim]));
    this.tensor('pos_embed', 'U8', tokens, dim);
    this.quantizers.push('tokens', 'pos_embed');
    this.addition('stem', dim);
    for (let i = 0; i < depth; i++) {
      const block = `blocks.${i}`;
      this.layerNorm(`${block}.norm1`, dim);
      this.linear(`${block}.attn.qkv`, 3 * dim, [dim]);
      this.product(`${block}.attn.scores`);
      this.block(block, dim, mlpDim, tokens);
    }
    if (pool === 'mean-before-norm') {
      this.product('pooled');
      this.tensor('pooled.factors', 'U8', dim);
    }
    this.layerNorm('norm', dim);
    if (pool === 'mean') this.product('pooled');
    if (classes > 0) this.linear('head', classes, [dim * Math.max(1, pooledTokens(architecture))], 'logits');
  }

  swin(architecture: SwinArchitecture): void {
    const { patchSize, dim, classes } = architecture;
    this.patches(patchSize, dim, 'patch_embed.conv.out');
    this.layerNorm('patch_embed.norm', dim, 'stem.out');
    const stages = swinStages(architecture);
    for (const [i, stage] of stages.entries()) {
      const { name, dim, mlpDim, heads, window } = stage;
      for (let j = 0; j < stage.depth; j++) {
        const block = `${name}.blocks.${j}`;
        this.layerNorm(`${block}.norm1`, dim);
        this.linear(`${block}.attn.qkv`, 3 * dim, [dim]);
        this.product(`${block}.attn.qk`);
        this.tensor(`${block}.attn.bias_table`, 'U8', biasRows(window), heads);
        this.quantizers.push(`${block}.attn.bias_table`, `${block}.attn.scores`);
        this.steps.set(`${block}.attn.scores`, 'bias');
        this.block(block, dim, mlpDim, window ** 2);
      }
      if (i === stages.length - 1) break;
      this.layerNorm(`${name}.downsample.norm`, 4 * dim);
      this.linear(`${name}.downsample.reduction`, 2 * dim, [4 * dim]);
      this.tensor(`${name}.downsample.reduction.factors`, 'U8', 2 * dim);
    }
    const last = stages.at(-1)!.dim;
    this.layerNorm('norm', last);
    this.product('pooled');
    if (classes > 0) this.linear('head', classes, [last], 'logits');
  }

  private patches(patchSize: number, dim: number, output: string): void {
    this.tensor('input.table', 'U8', 3, 256);
    this.quantizers.push('input');
    this.linear('patch_embed.proj', dim, [3, patchSize, patchSize], output);
  }

  /** The part of a block from its softmax on; `scores` is the length of a softmax row. */
  private block(block: string, dim: number, mlpDim: number, scores: number): void {
    this.tensors.push({ name: `${block}.attn.softmax.table`, dtype: 'U32', shape: [256], scores });
    if (this.recipe.attention === 'uniform') {
      this.quantizers.push(`${block}.attn.probs`);
      this.steps.set(`${block}.attn.softmax`, 'softmax');
    }
    if (this.recipe.attention === 'eighths') this.steps.set(`${block}.attn.softmax`, 'eighths');
    this.product(`${block}.attn.context`);
    this.linear(`${block}.attn.proj`, dim, [dim]);
    this.addition(`${block}.residual1`, dim);
    this.layerNorm(`${block}.norm2`, dim);
    this.linear(`${block}.mlp.fc1`, mlpDim, [dim], `${block}.mlp.gelu.out`, 'fine');
    this.tensors.push({
      name: `${block}.mlp.gelu.table`,
      dtype: 'U8',
      shape: [GELU_LEVELS],
      range: [0, highestCode(`${block}.mlp.gelu.out`, this.recipe)],
    });
    this.linear(`${block}.mlp.fc2`, dim, [mlpDim]);
    this.addition(`${block}.residual2`, dim);
  }

  private linear(
    name: string,
    out: number,
    inputs: readonly number[],
    output = `${name}.out`,
    kind: StepKind = 'linear',
  ): void {
    this.weight(name, out, inputs);
    this.tensor(`${name}.bias`, 'I32', out);
    this.tensor(`${name}.multiplier`, 'I32', out);
    this.quantizers.push(output);
    this.steps.set(name, kind);
  }

  private weight(layer: string, out: number, inputs: readonly number[]): void {
    const name = `${layer}.weight`;
    const bits = weightBits(layer, this.recipe);
    const spec = { name, dtype: 'I8', shape: [out, ...inputs], bits } as const;
    if (bits === 8) this.tensors.push(spec);
    else if (bits === 4) this.tensors.push({ ...spec, dtype: 'U8', shape: [out, packedLength(inputs[0]!)] });
    else this.tensors.push({ ...spec, range: [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1] });
  }

  private layerNorm(name: string, dim: number, output = `${name}.out`): void {
    this.tensor(`${name}.gain`, 'I32', dim);
    this.tensor(`${name}.bias`, 'I32', dim);
    this.quantizers.push(output);
    this.steps.set(name, 'layernorm');
  }

  private addition(name: string, dim: number): void {
    this.tensor(`${name}.multiplier`, 'I32', 2, dim);
    this.tensor(`${name}.factors`, 'U8', dim);
    this.quantizers.push(`${name}.out`);
    this.steps.set(name, 'add');
  }

  private product(name: string): void {
    this.quantizers.push(name);
    this.steps.set(name, 'product');
  }

  private tensor(name: string, dtype: Dtype, ...shape: number[]): void {
    this.tensors.push({ name, dtype, shape });
  }
}

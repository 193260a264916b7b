import type { Architecture, Description, Recipe } from './integer-description.js';
import type { Dtype } from './safetensors.js';

export interface TensorSpec {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
}

/** The class token and one token a patch. */
export function tokenCount({ imageSize, patchSize }: Pick<Architecture, 'imageSize' | 'patchSize'>): number {
  return (imageSize / patchSize) ** 2 + 1;
}

/** Entries of a GELU table: fine codes of 12 bits. */
export const GELU_LEVELS = 4096;

/**
 * Every tensor of an integer DeiT or ViT checkpoint, in the order of the forward pass.
 *
 * Linear `X`: `X.weight` int8 `[out, in]`, `X.bias` int32 at scale s_in·s_w, `X.multiplier` int32 (requantisation; its
 * shifts are in the description). LayerNorm: `X.gain`, `X.bias` int32 fixed point. Addition: `X.multiplier` int32 `[2, C]` and
 * `X.factors`, the power-of-two factor α of each channel of its output (all 0 where PTF is off).
 */
export function integerTensors({ architecture }: Pick<Description, 'architecture'>): TensorSpec[] {
  const { imageSize, patchSize, dim, depth, mlpDim, classes } = architecture;
  const tokens = tokenCount({ imageSize, patchSize });
  const specs: TensorSpec[] = [];
  const put = (name: string, dtype: Dtype, ...shape: number[]) => specs.push({ name, dtype, shape });
  const linear = (name: string, out: number, ...inputs: number[]) => {
    put(`${name}.weight`, 'I8', out, ...inputs);
    put(`${name}.bias`, 'I32', out);
    put(`${name}.multiplier`, 'I32', out);
  };
  const norm = (name: string) => {
    put(`${name}.gain`, 'I32', dim);
    put(`${name}.bias`, 'I32', dim);
  };
  const addition = (name: string) => {
    put(`${name}.multiplier`, 'I32', 2, dim);
    put(`${name}.factors`, 'U8', dim);
  };

  put('input.table', 'U8', 3, 256);
  linear('patch_embed.proj', dim, 3, patchSize, patchSize);
  put('tokens.table', 'U8', 256);
  put('cls_token', 'U8', dim);
  put('pos_embed', 'U8', tokens, dim);
  addition('stem');
  for (let i = 0; i < depth; i++) {
    const block = `blocks.${i}`;
    norm(`${block}.norm1`);
    linear(`${block}.attn.qkv`, 3 * dim, dim);
    put(`${block}.attn.softmax.table`, 'U32', 256);
    linear(`${block}.attn.proj`, dim, dim);
    addition(`${block}.residual1`);
    norm(`${block}.norm2`);
    linear(`${block}.mlp.fc1`, mlpDim, dim);
    put(`${block}.mlp.gelu.table`, 'U8', GELU_LEVELS);
    linear(`${block}.mlp.fc2`, dim, mlpDim);
    addition(`${block}.residual2`);
  }
  norm('norm');
  linear('head', classes, dim);
  return specs;
}

/** The quantisers of an integer DeiT or ViT, in the order of the forward pass, and those that only uniform attention has. */
export function quantizerNames(depth: number, attention: Recipe['attention']): string[] {
  const blocks = Array.from({ length: depth }, (_, i) =>
    [
      'norm1.out',
      'attn.qkv.out',
      'attn.scores',
      'attn.context',
      'attn.proj.out',
      'residual1.out',
      'norm2.out',
      'mlp.gelu.out',
      'mlp.fc2.out',
      'residual2.out',
    ].map((name) => `blocks.${i}.${name}`),
  );
  const probs = Array.from(
    { length: attention === 'uniform' ? depth : 0 },
    (_, i) => `blocks.${i}.attn.probs`,
  );
  return [
    'input',
    'patch_embed.out',
    'tokens',
    'pos_embed',
    'stem.out',
    ...blocks.flat(),
    'norm.out',
    'logits',
    ...probs,
  ];
}

/** What the description says of a step beside its tensors, in the order of the forward pass. */
export function stepKinds({
  architecture,
  recipe,
}: Pick<Description, 'architecture' | 'recipe'>): Map<string, StepKind> {
  const kinds = new Map<string, StepKind>([
    ['patch_embed.proj', 'linear'],
    ['stem', 'add'],
  ]);
  for (let i = 0; i < architecture.depth; i++) {
    const block = `blocks.${i}`;
    kinds.set(`${block}.norm1`, 'layernorm');
    kinds.set(`${block}.attn.qkv`, 'linear');
    kinds.set(`${block}.attn.scores`, 'product');
    if (recipe.attention === 'uniform') kinds.set(`${block}.attn.softmax`, 'softmax');
    kinds.set(`${block}.attn.context`, 'product');
    kinds.set(`${block}.attn.proj`, 'linear');
    kinds.set(`${block}.residual1`, 'add');
    kinds.set(`${block}.norm2`, 'layernorm');
    kinds.set(`${block}.mlp.fc1`, 'fine');
    kinds.set(`${block}.mlp.fc2`, 'linear');
    kinds.set(`${block}.residual2`, 'add');
  }
  kinds.set('norm', 'layernorm');
  kinds.set('head', 'linear');
  return kinds;
}

/**
 * `linear` {left, right}, `fine` {left, right, zeroPoint}, `product` {multiplier, left, right}, `add` and `layernorm` {shift},
 * `softmax` {levels}: integers, as the kernels of the same names take them.
 */
export type StepKind = keyof typeof STEP_RANGES;

/** The ranges, ends included, of the integers of each kind of step. */
export const STEP_RANGES = {
  linear: { left: [0, 15], right: [32, 62] },
  fine: { left: [0, 15], right: [32, 62], zeroPoint: [0, 4095] },
  product: { multiplier: [-0x7fffffff, 0x7fffffff], left: [0, 15], right: [32, 62] },
  add: { shift: [1, 30] },
  layernorm: { shift: [1, 62] },
  softmax: { levels: [1, 2 ** 30 - 1] },
} as const satisfies Record<string, Record<string, readonly [number, number]>>;

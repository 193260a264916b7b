import { type SwinArchitecture, type SwinStage, swinStages } from '../../checkpoint/architecture.js';
import type { IntegerModel } from '../../checkpoint/integer-model.js';
import { type AttentionShape, type Constant, ModelPlan, roundUp, type WindowOrder } from './plan.js';

/**
 * The forward pass of an integer Swin. The residual stream is a map in reading order; norm1 writes its codes in window order,
 * cyclic shift included, and residual1 reads the projection back, so no map is ever copied.
 */
export function planSwin(model: IntegerModel, architecture: SwinArchitecture): ModelPlan {
  const plan = new ModelPlan(model);
  const stages = swinStages(architecture);
  const { dim, side } = stages[0]!;
  plan.patchEmbedding('patch_embed.conv.out');
  plan.buffer('stem.out', side ** 2, dim);
  plan.layerNorm('patch_embed.norm', 'patch_embed.conv.out', 'stem.out');
  const masks = stages.some(({ shift, depth }) => shift > 0 && depth > 1)
    ? shiftMasks(plan, architecture.window)
    : [];
  let stream = 'stem.out';
  for (const [i, stage] of stages.entries()) {
    for (let j = 0; j < stage.depth; j++) {
      const shift = j % 2 === 1 ? stage.shift : 0;
      block(plan, `${stage.name}.blocks.${j}`, stream, stage, shift, shift === 0 ? [] : masks);
      stream = `${stage.name}.blocks.${j}.residual2.out`;
    }
    if (i + 1 < stages.length) stream = merge(plan, stage, stream);
  }
  tail(plan, stream);
  return plan.finish();
}

function block(
  plan: ModelPlan,
  name: string,
  stream: string,
  stage: SwinStage,
  shift: number,
  masks: readonly (Constant | undefined)[],
): void {
  const { dim, mlpDim, heads, side, window } = stage;
  const order: WindowOrder = { side, window, shift };
  const shape: AttentionShape = { windows: (side / window) ** 2, tokens: window ** 2, heads, dim };
  plan.buffer(`${name}.norm1.out`, side ** 2, dim);
  plan.layerNorm(`${name}.norm1`, stream, `${name}.norm1.out`, order);
  plan.buffer(`${name}.attn.qkv.out`, side ** 2, 3 * dim, { slack: 8 });
  plan.linear(`${name}.attn.qkv`, `${name}.norm1.out`, `${name}.attn.qkv.out`);
  plan.scores(name, `${name}.attn.qk`, shape);
  positionBias(plan, name, shape, window);
  const across = side / window;
  plan.attend(
    name,
    shape,
    (w) => masks[2 * Number(w >= across * (across - 1)) + Number(w % across === across - 1)],
  );
  plan.buffer(`${name}.attn.proj.out`, side ** 2, dim);
  plan.linear(`${name}.attn.proj`, `${name}.attn.context`, `${name}.attn.proj.out`);
  plan.add(`${name}.residual1`, stream, `${name}.attn.proj.out`, order);
  plan.mlp(name, mlpDim);
}

/** attn.scores = attn.qk + the relative position bias of each head. */
function positionBias(
  plan: ModelPlan,
  name: string,
  { windows, tokens, heads }: AttentionShape,
  window: number,
): void {
  const qk = plan.activation(`${name}.attn.qk`);
  const { rows, columns, stride } = qk;
  const out = plan.buffer(`${name}.attn.scores`, rows, columns, { stride });
  const table = plan.constant(`${name}.attn.bias_table`);
  const { multiplier, biasMultiplier, shift } = plan.integers(`${name}.attn.scores`);
  const zq = plan.zeroPoint(`${name}.attn.qk`);
  const zb = plan.zeroPoint(`${name}.attn.bias_table`);
  const zo = plan.zeroPoint(`${name}.attn.scores`);
  const size = tokens * stride;
  plan.step(`${name}.attn.scores`, {
    kernel: 'bias',
    reads: [`${name}.attn.qk`],
    constants: [table],
    scratchBytes: 4 * size,
    run: (k) => {
      for (let h = 0; h < heads; h++) {
        k.bias(
          qk.address + h * size,
          zq,
          multiplier!,
          table.address + h,
          heads,
          zb,
          biasMultiplier!,
          shift!,
          out.address + h * size,
          zo,
          windows,
          heads * size,
          window,
          stride,
          plan.scratch,
        );
      }
    },
  });
}

/**
 * Which scores count in the windows of a shifted map: those of two tokens that were neighbours before the shift. Windows in
 * the last column or row of windows hold tokens from both ends of the map; the others need no mask.
 *
 * @returns for windows elsewhere, in the last column, in the last row, in both
 */
function shiftMasks(plan: ModelPlan, window: number): (Constant | undefined)[] {
  const tokens = window ** 2;
  const stride = roundUp(tokens, 16);
  const seam = window - Math.floor(window / 2);
  const mask = (isBottom: boolean, isRight: boolean) => {
    const region = (token: number) =>
      2 * Number(isBottom && Math.floor(token / window) >= seam) + Number(isRight && token % window >= seam);
    return plan.filled(tokens * stride, (memory) => {
      for (let i = 0; i < tokens; i++) {
        for (let j = 0; j < tokens; j++) memory[i * stride + j] = region(i) === region(j) ? 255 : 0;
      }
    });
  };
  return [undefined, mask(false, true), mask(true, false), mask(true, true)];
}

/** 2×2 tokens become one of twice the channels. @returns the new stream */
function merge(plan: ModelPlan, { name, side, dim }: SwinStage, stream: string): string {
  const rows = side ** 2 / 4;
  plan.buffer(`${name}.downsample.norm.out`, rows, 4 * dim);
  plan.layerNorm(`${name}.downsample.norm`, stream, `${name}.downsample.norm.out`, { merge: side });
  plan.buffer(`${name}.downsample.reduction.out`, rows, 2 * dim);
  plan.linear(
    `${name}.downsample.reduction`,
    `${name}.downsample.norm.out`,
    `${name}.downsample.reduction.out`,
  );
  return `${name}.downsample.reduction.out`;
}

/** LayerNorm of all tokens, their mean, the head. */
function tail(plan: ModelPlan, stream: string): void {
  const { rows, columns } = plan.activation(stream);
  const tokens = plan.buffer('norm.out', rows, columns);
  plan.layerNorm('norm', stream, 'norm.out');
  const pooled = plan.buffer('pooled', 1, columns);
  const { multiplier, left, right } = plan.integers('pooled');
  const z = plan.zeroPoint('norm.out');
  const zo = plan.zeroPoint('pooled');
  plan.step('pooled', {
    kernel: 'pool',
    reads: ['norm.out'],
    run: (k) => k.pool(tokens.address, z, multiplier!, left!, right!, pooled.address, zo, rows, columns),
  });
  plan.head('pooled');
}

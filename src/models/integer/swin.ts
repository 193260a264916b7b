import { type SwinArchitecture, type SwinStage, swinStages } from '../../checkpoint/architecture.js';
import type { IntegerModel } from '../../checkpoint/integer-model.js';
import { areNeighbours, type WindowEdge, windowEdge } from '../windows.js';
import { share } from './calls.js';
import {
  type AttentionShape,
  type Constant,
  type Lane,
  ModelPlan,
  roundUp,
  type WindowOrder,
} from './plan.js';

/**
 * The forward pass of an integer Swin. The residual stream is a map in reading order. norm1 writes
 * its codes in window order, cyclic shift included, and residual1 reads the projection back, so
 * that no map is copied.
 */
export function planSwin(
  model: IntegerModel,
  architecture: SwinArchitecture,
  threads: number,
  lane?: Lane,
): ModelPlan {
  const plan = new ModelPlan(model, threads, lane);
  const stages = swinStages(architecture);
  plan.patchEmbedding('patch_embed.conv.out');
  plan.layerNorm('patch_embed.norm', 'patch_embed.conv.out', 'stem.out');
  const shifted = stages.find(({ shift, depth }) => shift > 0 && depth > 1);
  const masks = shifted ? shiftMasks(plan, shifted) : [];
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
  const { dim, heads, side, window } = stage;
  const order: WindowOrder = { side, window, shift };
  const tokens = window ** 2;
  const shape: AttentionShape = { windows: (side / window) ** 2, tokens, heads, dim, queries: tokens };
  plan.layerNorm(`${name}.norm1`, stream, `${name}.norm1.out`, { order });
  plan.qkv(name, shape);
  plan.scores(name, `${name}.attn.qk`, shape);
  positionBias(plan, name, shape, window);
  plan.attend(name, shape, (w) => masks[windowEdge(w, side / window)]);
  plan.linear(`${name}.attn.proj`, `${name}.attn.context`);
  plan.add(`${name}.residual1`, stream, `${name}.attn.proj.out`, order);
  plan.mlp(name);
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
    calls: (part) => {
      const isWhole = windows >= part.count;
      const [firstWindow, lastWindow] = isWhole ? share(windows, part) : [0, windows];
      const [firstHead, lastHead] = isWhole ? [0, heads] : share(heads, part);
      return Array.from({ length: lastHead - firstHead }, (_, i) => {
        const head = firstHead + i;
        const at = (firstWindow * heads + head) * size;
        return [
          'bias',
          qk.address + at,
          zq,
          multiplier!,
          table.address + head,
          heads,
          zb,
          biasMultiplier!,
          shift!,
          out.address + at,
          zo,
          lastWindow - firstWindow,
          heads * size,
          window,
          stride,
          part.scratch,
        ];
      });
    },
  });
}

/**
 * The masks of the windows of a shifted map, by the edge they touch: 255 for tokens that were
 * neighbours before the shift.
 */
function shiftMasks(plan: ModelPlan, { window, shift }: SwinStage): (Constant | undefined)[] {
  const tokens = window ** 2;
  const stride = roundUp(tokens, 16);
  const mask = (edge: WindowEdge) =>
    plan.filled(tokens * stride, (memory) => {
      for (let i = 0; i < tokens; i++) {
        for (let j = 0; j < tokens; j++) {
          memory[i * stride + j] = areNeighbours(edge, i, j, window, shift) ? 255 : 0;
        }
      }
    });
  return [undefined, mask(1), mask(2), mask(3)];
}

/** Merges 2×2 tokens into one with twice the channels. @returns the new stream */
function merge(plan: ModelPlan, { name, side }: SwinStage, stream: string): string {
  const norm = `${name}.downsample.norm`;
  plan.layerNorm(norm, stream, `${norm}.out`, { order: { merge: side } });
  plan.linear(`${name}.downsample.reduction`, `${norm}.out`);
  return `${name}.downsample.reduction.out`;
}

/** LayerNorm of all tokens, their mean, the head. */
function tail(plan: ModelPlan, stream: string): void {
  plan.layerNorm('norm', stream);
  plan.head(plan.pool('norm.out'));
}

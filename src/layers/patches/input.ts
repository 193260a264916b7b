import type { FloatModel } from '../../checkpoint/float/model.js';
import { affineCode, roundHalfEven } from '../round.js';

/**
 * The input quantiser with the normalisation folded in: real = scale·(code - zeroPoint + offset).
 */
export interface InputQuantizer {
  readonly scale: number;
  readonly zeroPoint: number;
  /** Integer minus real zero point; corrected in the bias of the patch embedding. */
  readonly offset: number;
  /** u8 `[3, 256]`: the code of each pixel value. */
  readonly table: Uint8Array;
}

/**
 * DeiT and Swin quantise their normalised input. ViT does not in the paper, and with one mean and
 * deviation for all channels it need not: a pixel is exactly its own code, since
 * (p/255 - mean)/std = (p - 255·mean)/(255·std).
 *
 * @param isDirect whether the model is a ViT
 */
export function inputQuantizer(
  isDirect: boolean,
  { mean, std }: Pick<FloatModel['preprocessing'], 'mean' | 'std'>,
  observed: { scale: number; zeroPoint: number },
): InputQuantizer {
  const sameChannels = new Set(mean).size === 1 && new Set(std).size === 1;
  if (isDirect && sameChannels) {
    const zeroPoint = roundHalfEven(255 * mean[0]);
    return {
      scale: 1 / (255 * std[0]),
      zeroPoint,
      offset: zeroPoint - 255 * mean[0],
      table: Uint8Array.from({ length: 768 }, (_, i) => i % 256),
    };
  }
  const table = Uint8Array.from({ length: 768 }, (_, i) => {
    const c = Math.floor(i / 256);
    return affineCode(((i % 256) / 255 - mean[c]!) / std[c]!, observed);
  });
  return { scale: observed.scale, zeroPoint: observed.zeroPoint, offset: 0, table };
}

/**
 * The limits of an integer checkpoint: far above every published model, but small enough that no
 * product overflows, planning ends soon and no image takes hours. The limits of a kind of layer,
 * which its kernels set, are in its folder.
 */
export const LIMITS = {
  /** Side of an image in pixels. */
  imageSize: 2048,
  /** Side of a patch in pixels. */
  patchSize: 64,
  /** Layers of a model. Placing their activations takes time in the square of this. */
  layers: 4096,
  /** Characters of a layer's name. */
  name: 200,
  /** Rows of an activation, where an attribute states them. */
  rows: 65536,
  /** Columns of an activation, as many as a head may have classes. */
  columns: 100_000,
  /** Tokens before the patches, and rows that a mean skips. */
  prefix: 64,
  /** Bytes of an activation. */
  bytes: 2 ** 30,
  /**
   * Multiply-accumulates of an image. timm's largest supported model,
   * vit_so400m_patch14_siglip_gap_896, needs 3.2e12; one core does about 4e10 per second.
   */
  work: 8e12,
  /**
   * Heads in all windows of all attention layers; each takes a few kernel calls. 88 times as many
   * as the largest Swin has.
   */
  heads: 2 ** 19,
};

/**
 * Images are resized to imageSize / cropPct before the crop, so this limits the resized side to 100
 * times the model's input.
 */
export const LEAST_CROP = 0.01;

/** The config.json and the tensors of the tiny model, as transformers saves it. */

import { readSafetensors, type Tensor } from '../../src/checkpoint/safetensors/safetensors.js';
import { renamed, VIT_RENAMINGS } from '../checkpoint/renamed.js';
import { tinyModel } from '../support/tiny-model.js';

export const CONFIG = {
  model_type: 'vit',
  image_size: 16,
  patch_size: 8,
  num_attention_heads: 2,
  layer_norm_eps: 1e-6,
  id2label: { 0: 'red', 1: 'green', 2: 'blue' },
};

export const tensors: readonly Tensor[] = renamed(
  readSafetensors(tinyModel()).tensors.values(),
  VIT_RENAMINGS['Hugging Face ViT'],
);

/**
 * Verdicts on config.json and preprocessor_config.json of transformers (4.57 and 5.23), and the
 * defaults of its classes.
 */

import type { Family } from '../../architecture/architecture.js';
import type { VerdictTable } from './verdicts.js';

/** The defaults of transformers for a supported model type. */
export interface ModelType {
  readonly family: Family;
  /** Classes that `architectures` may name. */
  readonly classes: readonly string[];
  readonly layerNormEps: number;
  readonly imageSize: number;
  readonly heads?: number;
  /** What the classifier of a ViT reads: the class token, or the mean of the patches. */
  readonly pool?: 'token' | 'avg';
  /** The image processor of the model type. */
  readonly processor: keyof typeof PROCESSORS;
}

const VIT = {
  family: 'vit',
  layerNormEps: 1e-12,
  imageSize: 224,
  heads: 12,
  pool: 'token',
  processor: 'ViT',
} as const;

/** By `model_type`. */
export const MODEL_TYPES: Readonly<Record<string, ModelType>> = {
  vit: { ...VIT, classes: ['ViTForImageClassification', 'ViTModel', 'ViTForMaskedImageModeling'] },
  deit: {
    ...VIT,
    family: 'deit',
    processor: 'DeiT',
    classes: [
      ...['DeiTForImageClassification', 'DeiTForImageClassificationWithTeacher', 'DeiTModel'],
      'DeiTForMaskedImageModeling',
    ],
  },
  swin: {
    family: 'swin',
    layerNormEps: 1e-5,
    imageSize: 224,
    processor: 'ViT',
    classes: ['SwinForImageClassification', 'SwinModel', 'SwinBackbone', 'SwinForMaskedImageModeling'],
  },
  dinov2: { ...VIT, layerNormEps: 1e-6, processor: 'Bit', classes: ['Dinov2Model', 'Dinov2Backbone'] },
  dinov2_with_registers: {
    ...VIT,
    layerNormEps: 1e-6,
    processor: 'Bit',
    classes: ['Dinov2WithRegistersModel', 'Dinov2WithRegistersBackbone'],
  },
  vit_mae: { ...VIT, classes: ['ViTMAEModel', 'ViTMAEForPreTraining'] },
  vit_msn: { ...VIT, layerNormEps: 1e-6, classes: ['ViTMSNForImageClassification', 'ViTMSNModel'] },
  ijepa: { ...VIT, pool: 'avg', classes: ['IJepaForImageClassification', 'IJepaModel'] },
};

/** Classes and model types that are refused, with what they have that fqvit does not support. */
export const UNSUPPORTED: Readonly<Record<string, string>> = {
  Dinov2ForImageClassification: 'a head that reads both the class token and the mean of the patches',
  Dinov2WithRegistersForImageClassification:
    'a head that reads both the class token and the mean of the patches',
  beit: 'relative positions in attention',
  'data2vec-vision': 'relative positions in attention',
  swinv2: "Swin V2's cosine attention and continuous position bias",
  swin2sr: "Swin V2's cosine attention and continuous position bias",
  dinov3_vit: 'rotary position embeddings (RoPE)',
  pe_video: 'rotary position embeddings (RoPE)',
  clip: 'a LayerNorm before the first block (pre-norm)',
  clip_vision_model: 'a LayerNorm before the first block (pre-norm)',
  siglip: 'attention pooling',
  siglip_vision_model: 'attention pooling',
  siglip2: 'attention pooling',
  'vit-hybrid': 'a convolutional stem',
  donut_swin: 'no classifier: its features feed a decoder',
  'donut-swin': 'no classifier: its features feed a decoder',
  timm_wrapper: "timm's names inside transformers: use the folder that timm saved",
  vitdet: 'windowed attention with relative positions',
  dpt: 'a head that predicts depth or segments',
};

/** The defaults of an image processor. */
export interface Processor {
  /** Whether one number as `size` means a square, not the short side. */
  readonly square: boolean;
  readonly mean: readonly number[];
  readonly std: readonly number[];
  // undefined if versions of transformers differ
  readonly crop: boolean | undefined;
  /** Pillow's number of the filter. */
  readonly resample: number | undefined;
  readonly size: object | undefined;
  /** Undefined if the class has none. */
  readonly cropSize?: number;
}

const HALF = { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] } as const;
const CLIP = {
  mean: [0.48145466, 0.4578275, 0.40821073],
  std: [0.26862954, 0.26130258, 0.27577711],
} as const;

/**
 * By `image_processor_type` without `ImageProcessor`, `ImageProcessorFast`, `ImageProcessorPil` or
 * `FeatureExtractor`.
 */
export const PROCESSORS = {
  ViT: { square: true, crop: false, resample: 2, size: squareOf(224), ...HALF },
  DeiT: { square: true, crop: true, resample: 3, size: squareOf(256), cropSize: 224, ...HALF },
  Bit: { square: false, crop: true, resample: 3, size: { shortest_edge: 224 }, cropSize: 224, ...CLIP },
  CLIP: { square: false, crop: true, resample: 3, size: { shortest_edge: 224 }, cropSize: 224, ...CLIP },
  ViTHybrid: { square: false, crop: true, resample: 3, size: { shortest_edge: 224 }, cropSize: 224, ...CLIP },
  ConvNext: { square: false, crop: false, resample: undefined, size: { shortest_edge: 384 }, ...HALF },
  Beit: { square: true, crop: undefined, resample: 3, size: undefined, cropSize: 224, ...HALF },
  Siglip: { square: false, crop: false, resample: 3, size: squareOf(224), ...HALF },
} satisfies Readonly<Record<string, Processor>>;

function squareOf(side: number) {
  return { height: side, width: side };
}

export const TRANSFORMERS_CONFIG: VerdictTable = {
  title: 'config.json of transformers',
  others: 'ignored',
  verdicts: [
    { keys: ['model_type'], applied: 'the family; a type that is not supported is refused, with the reason' },
    { keys: ['architectures'], applied: 'a class whose head is not supported is refused' },
    {
      keys: ['num_attention_heads', 'num_heads'],
      applied: 'heads of each block; checked against the tensors of a Swin',
    },
    {
      keys: ['num_hidden_layers', 'depths'],
      applied: 'must agree with the tensors: transformers drops further blocks',
    },
    {
      keys: ['qkv_bias'],
      applied: 'must agree with the tensors: transformers drops the biases if it is false',
    },
    { keys: ['image_size', 'patch_size'], applied: 'one number, or two equal numbers' },
    {
      keys: ['layer_norm_eps'],
      applied:
        'epsilon of every LayerNorm; a Swin must have 1e-5, as transformers applies another value to only some of its LayerNorms',
    },
    {
      keys: ['hidden_act'],
      applied: 'gelu, gelu_python, gelu_new, gelu_fast, gelu_pytorch_tanh or quick_gelu',
    },
    { keys: ['id2label'], applied: 'the labels; placeholders (LABEL_0, LABEL_1, …) do not count' },
    {
      keys: ['problem_type'],
      applied:
        'what the logits mean: softmax (single_label_classification), sigmoid (multi_label_classification) or value (regression)',
    },
    {
      keys: ['image_processor_type'],
      applied: 'the class that prepares photos, if preprocessor_config.json names none',
    },
    { keys: ['num_labels'], harmless: 'the tensors show it' },
    { keys: ['num_channels'], only: [3], because: 'another number of channels' },
    { keys: ['pruned_heads'], only: [{}, []], because: 'pruned heads' },
    { keys: ['quantization_config'], only: [], because: 'quantised weights' },
    { keys: ['auto_map'], only: [{}], because: "code from the model's repository" },
    { keys: ['use_absolute_embeddings'], only: [false], because: 'a Swin with absolute position embeddings' },
    { keys: ['use_swiglu_ffn'], only: [false], because: 'SwiGLU' },
    {
      keys: ['is_decoder', 'add_cross_attention', 'is_encoder_decoder'],
      only: [false],
      because: 'a decoder',
    },
    {
      keys: ['apply_layernorm', 'reshape_hidden_states'],
      harmless: 'concerns only the feature maps of a backbone',
    },
    {
      keys: ['out_features', 'out_indices', 'stage_names', '_out_features', '_out_indices'],
      harmless: 'concerns only which feature maps a backbone returns',
    },
    {
      keys: [
        ...['hidden_size', 'intermediate_size', 'embed_dim', 'mlp_ratio', 'window_size', 'num_layers'],
        ...['num_register_tokens', 'layerscale_value', 'patch_norm', 'path_norm'],
      ],
      harmless: 'the tensors show it; transformers refuses a file that contradicts it',
    },
    { keys: ['label2id'], harmless: 'id2label says the same' },
    { keys: ['pooler_output_size', 'pooler_act'], harmless: 'no classifier reads the pooler' },
    {
      keys: [
        ...['attention_probs_dropout_prob', 'hidden_dropout_prob', 'drop_path_rate', 'initializer_range'],
        ...['use_mask_token', 'mask_ratio', 'norm_pix_loss', 'encoder_stride', 'decoder_hidden_size'],
        ...['decoder_intermediate_size', 'decoder_num_attention_heads', 'decoder_num_hidden_layers'],
        ...[
          'dropout',
          'classifier_dropout',
          'semantic_loss_ignore_index',
          'finetuning_task',
          'task_specific_params',
        ],
        ...['problem', 'loss_type'],
      ],
      harmless: 'for training only',
    },
    {
      keys: [
        ...['_name_or_path', '_commit_hash', 'transformers_version', 'dtype', 'torch_dtype', 'torchscript'],
        ...['return_dict', 'output_attentions', 'output_hidden_states', 'use_bfloat16', 'tf_legacy_loss'],
        ...[
          'chunk_size_feed_forward',
          '_attn_implementation',
          'attn_implementation',
          '_attn_implementation_autoset',
        ],
        ...[
          'tie_word_embeddings',
          'tie_encoder_decoder',
          'cross_attention_hidden_size',
          'gradient_checkpointing',
        ],
        ...['use_cache', 'name_or_path', '_experts_implementation'],
      ],
      harmless: 'changes how transformers runs the model, not the result',
    },
    {
      keys: [
        ...[
          'bad_words_ids',
          'begin_suppress_tokens',
          'bos_token_id',
          'decoder_start_token_id',
          'diversity_penalty',
        ],
        ...['do_sample', 'early_stopping', 'encoder_no_repeat_ngram_size', 'eos_token_id'],
        ...[
          'exponential_decay_length_penalty',
          'forced_bos_token_id',
          'forced_eos_token_id',
          'length_penalty',
        ],
        ...['max_length', 'min_length', 'no_repeat_ngram_size', 'num_beam_groups', 'num_beams'],
        ...['num_return_sequences', 'output_scores', 'pad_token_id', 'prefix', 'remove_invalid_values'],
        ...[
          'repetition_penalty',
          'return_dict_in_generate',
          'sep_token_id',
          'suppress_tokens',
          'temperature',
        ],
        ...['tokenizer_class', 'top_k', 'top_p', 'typical_p'],
      ],
      harmless: 'for text generation; transformers 4 writes it for every model',
    },
  ],
};

export const PREPROCESSOR_CONFIG: VerdictTable = {
  title: 'preprocessor_config.json of transformers',
  others: 'ignored',
  verdicts: [
    {
      keys: ['image_processor_type', 'feature_extractor_type'],
      applied:
        'the class, which decides what the other keys mean: ViT, DeiT, Bit, CLIP, ViTHybrid, ConvNext, Beit or Siglip',
    },
    {
      keys: ['size'],
      applied:
        'a square { height, width }, or { shortest_edge } followed by a crop; the class decides which of them one number means',
    },
    {
      keys: ['crop_size', 'do_center_crop'],
      applied: 'the centre crop; its top and left offsets are rounded down',
    },
    {
      keys: ['crop_pct'],
      applied:
        'ConvNext only: below 384 pixels, the short side is resized to `size` / `crop_pct` and cropped to `size`; from 384 up, the photo is resized to a square',
    },
    { keys: ['resample'], applied: '0 (nearest), 1 (Lanczos), 2 (bilinear) or 3 (bicubic)' },
    {
      keys: ['do_resize'],
      applied: 'false is refused before a crop; elsewhere photos of another size are resized, with a warning',
    },
    {
      keys: ['do_rescale', 'rescale_factor', 'do_normalize', 'image_mean', 'image_std'],
      applied: 'scale, mean and standard deviation of the pixels',
    },
    { keys: ['rescale_offset'], only: [false], because: 'subtracting 1 from the pixels' },
    { keys: ['default_to_square'], applied: 'whether one number as `size` means a square' },
    {
      keys: ['do_pad', 'do_thumbnail', 'do_align_long_axis', 'do_align_axis'],
      only: [false],
      because: 'padding or rotating photos',
    },
    { keys: ['do_grayscale'], only: [false], because: 'greyscale photos' },
    { keys: ['do_flip_channel_order'], only: [false], because: 'BGR channel order' },
    { keys: ['do_color_quantize'], only: [false], because: 'colour quantisation' },
    { keys: ['do_crop_margin'], only: [false], because: 'cropping margins' },
    { keys: ['use_square_size'], only: [false], because: "KOSMOS-2's square size" },
    { keys: ['pad_size', 'size_divisor', 'max_image_size'], only: [], because: 'padding photos' },
    { keys: ['auto_map'], only: [{}], because: "code from the model's repository" },
    { keys: ['do_convert_rgb'], harmless: 'photos are always converted to RGB' },
    { keys: ['do_reduce_labels', 'reduce_labels'], harmless: 'concerns only segmentation maps' },
    { keys: ['include_top'], only: [false], because: 'dividing by the standard deviation a second time' },
    {
      keys: [
        ...[
          '_processor_class',
          'processor_class',
          'return_tensors',
          'data_format',
          'input_data_format',
          'device',
        ],
        ...['disable_grouping', 'image_seq_length', '_valid_processor_keys', 'num_channels'],
      ],
      harmless: 'changes the form of the arrays, not their content',
    },
  ],
};

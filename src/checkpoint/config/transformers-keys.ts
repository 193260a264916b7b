/** Verdicts on config.json and preprocessor_config.json of transformers (4.57 and 5.23), and what its classes do. */

import type { Family } from '../architecture.js';
import type { VerdictTable } from './verdicts.js';

/** What transformers does with a model type that is read, where its config.json leaves it open. */
export interface ModelType {
  readonly family: Family;
  /** Classes that a config may name. */
  readonly classes: readonly string[];
  readonly layerNormEps: number;
  readonly imageSize: number;
  readonly heads?: number;
  /** What the classifier of a ViT reads: the class token, or the mean of the patches. */
  readonly pool?: 'token' | 'avg';
  /** The image processor that the model type has. */
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

/** Classes and model types that are refused, by what they compute that fqvit does not. */
export const UNSUPPORTED: Readonly<Record<string, string>> = {
  Dinov2ForImageClassification: 'a head that reads the class token beside the mean of the patches',
  Dinov2WithRegistersForImageClassification:
    'a head that reads the class token beside the mean of the patches',
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
  donut_swin: 'no classifier, but features for a decoder',
  'donut-swin': 'no classifier, but features for a decoder',
  timm_wrapper: "timm's own names inside transformers: give the folder that timm saved",
  vitdet: 'relative positions in windows of a ViT',
  dpt: 'a head that predicts depth or segments',
};

/** What an image processor does where its file leaves it open. */
export interface Processor {
  /** `size` as one number: a square, or the short side. */
  readonly square: boolean;
  readonly mean: readonly number[];
  readonly std: readonly number[];
  // undefined where versions of transformers differ
  readonly crop: boolean | undefined;
  /** Pillow's number of the filter. */
  readonly resample: number | undefined;
  readonly size: object | undefined;
  /** Undefined where the class has none of its own. */
  readonly cropSize?: number;
}

const HALF = { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] } as const;
const CLIP = {
  mean: [0.48145466, 0.4578275, 0.40821073],
  std: [0.26862954, 0.26130258, 0.27577711],
} as const;

/** By `image_processor_type` without `ImageProcessor`, `ImageProcessorFast`, `ImageProcessorPil` or `FeatureExtractor`. */
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
    { keys: ['model_type'], applied: 'the family; another architecture is refused by what it computes' },
    { keys: ['architectures'], applied: 'a class whose head is not supported is refused' },
    {
      keys: ['num_attention_heads', 'num_heads'],
      applied: 'heads of each block; of a Swin checked against the tensors',
    },
    {
      keys: ['num_hidden_layers', 'depths'],
      applied: 'must agree with the tensors: transformers leaves out further blocks',
    },
    { keys: ['qkv_bias'], applied: 'must agree with the tensors: transformers leaves out biases' },
    { keys: ['image_size', 'patch_size'], applied: 'a number or two that are equal' },
    {
      keys: ['layer_norm_eps'],
      applied:
        'of every LayerNorm; of a Swin only 1e-5, as transformers applies another value to some of them only',
    },
    {
      keys: ['hidden_act'],
      applied: 'gelu, gelu_python, gelu_new, gelu_fast, gelu_pytorch_tanh or quick_gelu',
    },
    { keys: ['id2label'], applied: 'the labels; placeholders (LABEL_0) are none' },
    {
      keys: ['problem_type'],
      applied: 'softmax, sigmoid (multi_label_classification) or value (regression)',
    },
    {
      keys: ['image_processor_type'],
      applied: 'the class that prepares photos, where preprocessor_config.json names none',
    },
    { keys: ['num_labels'], harmless: 'the classifier shows it' },
    { keys: ['num_channels'], only: [3], because: 'another number of channels' },
    { keys: ['pruned_heads'], only: [{}, []], because: 'removing heads' },
    { keys: ['quantization_config'], only: [], because: 'reading weights that are quantised' },
    { keys: ['auto_map'], only: [{}], because: "running the repository's own code" },
    { keys: ['use_absolute_embeddings'], only: [false], because: 'a Swin with absolute positions' },
    { keys: ['use_swiglu_ffn'], only: [false], because: 'SwiGLU' },
    {
      keys: ['is_decoder', 'add_cross_attention', 'is_encoder_decoder'],
      only: [false],
      because: 'a decoder',
    },
    { keys: ['apply_layernorm', 'reshape_hidden_states'], harmless: 'of the feature maps of a backbone' },
    {
      keys: ['out_features', 'out_indices', 'stage_names', '_out_features', '_out_indices'],
      harmless: 'which feature maps of a backbone are returned',
    },
    {
      keys: [
        ...['hidden_size', 'intermediate_size', 'embed_dim', 'mlp_ratio', 'window_size', 'num_layers'],
        ...['num_register_tokens', 'layerscale_value', 'patch_norm', 'path_norm'],
      ],
      harmless: 'the tensors show it, and transformers does not load a file that contradicts it',
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
      harmless: 'of training only',
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
      harmless: 'how transformers runs it, with the same result',
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
      harmless: 'of models that generate text; transformers 4 writes it for every model',
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
        'the class decides what the other keys mean: ViT, DeiT, Bit, CLIP, ViTHybrid, ConvNext, Beit or Siglip',
    },
    {
      keys: ['size'],
      applied:
        'a square { height, width }, or { shortest_edge } and then a crop; one number is either, by class',
    },
    {
      keys: ['crop_size', 'do_center_crop'],
      applied: 'the centre crop; the part that it leaves before it is rounded down',
    },
    {
      keys: ['crop_pct'],
      applied:
        "ConvNext's: below 384 pixels, `size` is a crop of that part; from 384 pixels up it is a square",
    },
    { keys: ['resample'], applied: '0, 1, 2 or 3: nearest, Lanczos, bilinear, bicubic' },
    {
      keys: ['do_resize'],
      applied: 'false is refused before a crop; elsewhere photos of another size are resized, with a warning',
    },
    {
      keys: ['do_rescale', 'rescale_factor', 'do_normalize', 'image_mean', 'image_std'],
      applied: 'mean and deviation of the pixels',
    },
    { keys: ['rescale_offset'], only: [false], because: 'subtracting 1 from the pixels' },
    { keys: ['default_to_square'], applied: 'what one number as `size` means' },
    {
      keys: ['do_pad', 'do_thumbnail', 'do_align_long_axis', 'do_align_axis'],
      only: [false],
      because: 'padding or turning photos',
    },
    { keys: ['do_grayscale'], only: [false], because: 'photos without colours' },
    { keys: ['do_flip_channel_order'], only: [false], because: 'blue before red' },
    { keys: ['do_color_quantize'], only: [false], because: 'photos of few colours' },
    { keys: ['do_crop_margin'], only: [false], because: 'cutting margins off' },
    { keys: ['use_square_size'], only: [false], because: "KOSMOS-2's square size" },
    { keys: ['pad_size', 'size_divisor', 'max_image_size'], only: [], because: 'padding photos' },
    { keys: ['auto_map'], only: [{}], because: "running the repository's own code" },
    { keys: ['do_convert_rgb'], harmless: 'photos are RGB in any case' },
    { keys: ['do_reduce_labels', 'reduce_labels'], harmless: 'of segmentation maps' },
    { keys: ['include_top'], only: [false], because: 'dividing by the deviation a second time' },
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
      harmless: 'what arrays look like, not what is in them',
    },
  ],
};

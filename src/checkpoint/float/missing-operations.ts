import { quote } from '../../text/quote.js';

/** Patterns of tensor names, and the operation that each reveals. */
const OPERATIONS: readonly (readonly [pattern: RegExp, operation: string])[] = [
  [/\b(norm_pre|ln_pre|pre_layrnorm|pre_layernorm)\./, 'a LayerNorm before the first block (pre-norm)'],
  [/\bmlp\.(fc1_[gx]|w12|w[123]|weights_in|gate_proj)\b/, 'SwiGLU'],
  [/\b(rope|rope_embeddings|rotary_emb\w*)\b/, 'rotary position embeddings (RoPE)'],
  [
    /\b(logit_scale|cpb_mlp|continuous_position_bias_mlp|meta_mlp)\b/,
    "Swin V2's cosine attention and continuous position bias",
  ],
  [/\b(rel_pos\w*|relative_position_bias\w*)\b/, 'relative positions in attention'],
  [/\b(attn_pool|attentional_pool|attention_pool)\b|\bhead\.(probe|attention)\b/, 'attention pooling'],
  [/\blambda_[qk]\d\b/, 'differential attention'],
  [/\b(q_norm|k_norm|query_norm|key_norm)\b/, 'a norm of query and key'],
  [/\b(attn|mlp)\.(norm|sub_norm|inner_attn_ln|ffn_ln)\b/, 'a LayerNorm inside attention and MLP'],
  [
    /\b(attns|ffns)\.\d+\.|\bblocks\.\d+\.in_(proj|norm)\b/,
    'attention and MLP side by side (parallel blocks)',
  ],
  [/\bpatch_embed\.(backbone|conv\w*|stem)\b/, 'a convolutional stem'],
  [/\b(absolute_pos_embed|position_embeddings)\b/, 'absolute position embeddings of a Swin'],
];

/**
 * The operation that a model needs and fqvit lacks, or undefined if the tensors reveal none.
 *
 * @param unknown tensor names that no DeiT, ViT or Swin has
 * @param missing canonical names of the tensors that the file lacks
 * @param present whether the file has a tensor, by its canonical name
 */
export function missingOperation(
  unknown: readonly string[],
  missing: readonly string[],
  present: (canonical: string) => boolean,
): string | undefined {
  for (const [pattern, operation] of OPERATIONS) {
    const name = unknown.find((one) => pattern.test(one));
    if (name !== undefined) return `${operation}, as tensor ${quote(name)} shows`;
  }
  // Only if nothing else is missing: a damaged file would lack other tensors too.
  const isNormBias = (name: string) => /(^|\.)(fc_)?norm\d?\.bias$/.test(name);
  if (missing.length > 2 && missing.every(isNormBias) && !present('blocks.0.norm2.bias')) {
    return 'RMSNorm, since its norms have no bias';
  }
  if (missing.join() === 'norm.weight,norm.bias') return 'no LayerNorm after the last block';
  if (missing.join() === 'pos_embed' && unknown.some((name) => name.endsWith('.gamma_1'))) {
    return 'rotary position embeddings (RoPE), since there is no pos_embed';
  }
  return undefined;
}

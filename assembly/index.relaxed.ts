/** Integer kernels, relaxed tier: the simd tier's, but for linear layers of narrow weights. */
export { pack_weights, linear, linear_fine } from './gemm/gemm.relaxed';
export { scores, context_log2, context_uniform, context_eighths } from './attention/attention.simd';
export { softmax_log2, softmax_uniform, softmax_eighths } from './softmax/softmax.simd';
export { layernorm, layernorm_merge, layernorm_windows } from './layernorm/layernorm.simd';
export { gelu } from './gelu/gelu.simd';
export { add, add_windows } from './add/add.simd';
export { lookup, patches } from './patches/patches';
export { bias } from './bias/bias.simd';
export { pool } from './pool/pool';

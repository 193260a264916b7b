/** Integer kernels, simd tier: no floating point, no imports but memory. */
export { pack_weights } from './gemm/layout';
export { linear, linear_fine } from './gemm/gemm.simd';
export { scores, context_log2, context_uniform, context_eighths } from './attention/attention.simd';
export { softmax_log2, softmax_uniform, softmax_eighths } from './softmax/softmax.simd';
export { layernorm, layernorm_merge, layernorm_windows } from './layernorm/layernorm.simd';
export { gelu } from './gelu/gelu.simd';
export { add, add_windows } from './add/add.simd';
export { lookup, patches } from './patches/patches';
export { bias } from './bias/bias.simd';
export { pool } from './pool/pool';

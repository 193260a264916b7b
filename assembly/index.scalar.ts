/** Integer kernels, scalar tier: no floating point, no imports but memory. */
export { pack_weights } from './gemm/layout';
export { linear, linear_fine } from './gemm/gemm.scalar';
export { scores, context_log2, context_uniform, context_eighths } from './attention/attention.scalar';
export { softmax_log2, softmax_uniform, softmax_eighths } from './softmax/softmax.scalar';
export { layernorm, layernorm_merge, layernorm_windows } from './layernorm/layernorm.scalar';
export { gelu } from './gelu/gelu.scalar';
export { add, add_windows } from './add/add.scalar';
export { lookup, patches } from './patches/patches';
export { bias } from './bias/bias.scalar';
export { pool } from './pool/pool';

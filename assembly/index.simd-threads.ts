/** The simd tier over memory that threads share. */
export * from './index.simd';
export { barrier } from './threads/barrier';

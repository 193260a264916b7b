/** The relaxed tier over memory that threads share. */
export * from './index.relaxed';
export { barrier } from './threads/barrier';

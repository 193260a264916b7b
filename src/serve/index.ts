/**
 * The HTTP service as an app of Hono, for servers of your own in Node, Deno, Bun and workerd.
 *
 * @module fqvit/serve
 */

export { createApp } from './app.js';
export type { Answer, AppOptions, Classifier, ClassifierOptions, FetchLimits } from './options.js';
export type { ReceivingLimits } from './receiving.js';

/**
 * The HTTP service as an app of Hono, for servers of your own in Node, Deno, Bun and workerd.
 *
 * @module fqvit/serve
 */

export {
  type Answer,
  type AppOptions,
  type Classifier,
  type ClassifierOptions,
  createApp,
  type FetchLimits,
} from './app.js';
export type { ReceivingLimits } from './receiving.js';

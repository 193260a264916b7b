export {
  type Answer,
  type AppOptions,
  type Classifier,
  type ClassifierOptions,
  createApp,
  type FetchLimits,
} from './app.js';
export type { ReceivingLimits } from './receiving.js';

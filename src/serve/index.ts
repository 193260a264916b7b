export {
  type Answer,
  type AppOptions,
  type Classifier,
  type ClassifierOptions,
  createApp,
} from './app.js';

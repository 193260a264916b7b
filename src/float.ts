/**
 * Runs float checkpoints behind the calls of the integer {@link fqvit!Model | Model}, to compare
 * the two. `fqvit/browser/float` has the same exports as a ready-made ES module.
 *
 * @module fqvit/float
 */

export { FloatClassifier, type FloatInfo, type FloatLoadOptions, loadFloat } from './model/float-model.js';

import type { Architecture } from '../architecture/architecture.js';
import type { Network } from './network.js';
import { swinNetwork } from './swin.js';
import { vitNetwork } from './vit.js';

/**
 * The network of an architecture.
 *
 * @param trimmed whether to leave out the tokens that do not reach the head: calibration observes
 *   them
 */
export function networkOf(architecture: Architecture, trimmed: boolean): Network {
  return architecture.family === 'swin' ? swinNetwork(architecture) : vitNetwork(architecture, trimmed);
}

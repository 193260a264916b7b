import type { Refuse } from '../text/refuse.js';
import { addShape } from './add/layer.js';
import { biasShape } from './bias/layer.js';
import { constantShape } from './constant/layer.js';
import { contextShape } from './context/layer.js';
import { geluShape } from './gelu/layer.js';
import type { Layer } from './layer.js';
import { layerNormShape } from './layernorm/layer.js';
import { linearShape } from './linear/layer.js';
import { patchesShape } from './patches/layer.js';
import { poolShape } from './pool/layer.js';
import { scoresShape } from './scores/layer.js';
import type { Shape } from './shape.js';
import { softmaxShape } from './softmax/layer.js';
import { tokensShape } from './tokens/layer.js';

/** The shape of what a layer makes of what it reads. */
export function shapeOf(layer: Layer, reads: readonly Shape[], imageSize: number, refuse: Refuse): Shape {
  switch (layer.kind) {
    case 'patches':
      return patchesShape(layer, imageSize, refuse);
    case 'tokens':
      return tokensShape(layer, reads, refuse);
    case 'constant':
      return constantShape(layer);
    case 'linear':
      return linearShape(layer, reads, refuse);
    case 'scores':
      return scoresShape(layer, reads, refuse);
    case 'bias':
      return biasShape(reads, refuse);
    case 'softmax':
      return softmaxShape(reads, refuse);
    case 'context':
      return contextShape(reads, refuse);
    case 'add':
      return addShape(reads, refuse);
    case 'layernorm':
      return layerNormShape(layer, reads, refuse);
    case 'gelu':
      return geluShape(reads, refuse);
    case 'pool':
      return poolShape(layer, reads, refuse);
  }
}

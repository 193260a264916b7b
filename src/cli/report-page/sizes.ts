import type { FloatModel } from '../../checkpoint/float/model.js';
import type { IntegerModel } from '../../checkpoint/integer/model.js';
import type { Layer } from '../../layers/layer.js';
import { networkOf } from '../../networks/index.js';
import { readersOf } from '../../networks/network.js';

/** A part of a model, summed over all blocks. */
export interface PartSize {
  readonly part: string;
  /** Parameters of the float model. */
  readonly parameters: number;
  /** Bytes in the integer checkpoint. */
  readonly bytes: number;
}

/** In the order of the forward pass. */
const PARTS = [
  'patch embedding',
  'position embedding',
  'tables',
  'attention',
  'MLP',
  'patch merging',
  'LayerNorm',
  'head',
  'additions',
] as const;
type ModelPart = (typeof PARTS)[number];

/** The parts of a model in the order of the forward pass, then the description. */
export function partSizes(float: FloatModel, integer: IntegerModel, fileBytes: number): PartSize[] {
  const { layers } = networkOf(float.architecture, true);
  const readers = readersOf({ layers });
  const kinds = new Map(layers.map((layer) => [layer.name, layer]));
  const sizes = new Map(PARTS.map((part) => [part, { parameters: 0, bytes: 0 }]));
  for (const layer of layers) {
    const size = sizes.get(partOf(layer, kinds, readers.get(layer.name)!))!;
    for (const [name, { data }] of float.tensors) if (isOf(layer, name)) size.parameters += data.length;
    for (const tensor of integer.program.tensors)
      if (tensor.layer === layer.name) size.bytes += integer.tensors.get(tensor.name)!.byteLength;
  }
  const parts = [...sizes].map(([part, size]) => ({ part, ...size })).filter(({ bytes }) => bytes > 0);
  const rest = fileBytes - parts.reduce((total, { bytes }) => total + bytes, 0);
  return [...parts, { part: 'description', parameters: 0, bytes: rest }];
}

/** Whether a float tensor belongs to a layer. */
function isOf(layer: Layer, name: string): boolean {
  if (layer.kind === 'tokens' || layer.kind === 'constant') return name === layer.source;
  return [`${layer.parameters}.weight`, `${layer.parameters}.bias`].includes(name);
}

function partOf(layer: Layer, layers: ReadonlyMap<string, Layer>, readers: readonly Layer[]): ModelPart {
  switch (layer.kind) {
    case 'patches':
    case 'tokens':
      return 'patch embedding';
    case 'constant':
      return 'position embedding';
    case 'softmax':
    case 'gelu':
      return 'tables';
    case 'layernorm':
      return 'LayerNorm';
    case 'linear': {
      const { kind: source } = layers.get(layer.reads[0]!)!;
      if (source === 'patches') return 'patch embedding';
      if (layer.edge) return 'head';
      if (layer.fine || source === 'gelu') return 'MLP';
      const isAttention = source === 'context' || readers.some(({ kind }) => kind === 'scores');
      return isAttention ? 'attention' : 'patch merging';
    }
    default:
      return 'additions';
  }
}

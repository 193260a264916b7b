import type { Layer } from '../layers/layer.js';
import type { Shape } from '../layers/shape.js';
import { shapeOf } from '../layers/shapes.js';
import type { Refuse } from '../text/refuse.js';

/**
 * A model as a list of layers in order of execution: plain data, without weights. Each family has a
 * file that builds it from an architecture; everything else walks the list.
 */
export interface Network {
  /** Side of the image in pixels. */
  readonly imageSize: number;
  readonly layers: readonly Layer[];
  readonly outputs: Outputs;
  /** How many first tokens alone reach the head; 0 if it reads a mean. */
  readonly pooled: number;
}

/** The shape of what each layer makes. @param refuse throws for a layer */
export function shapesOf(
  { layers, imageSize }: Network,
  refuse: (layer: Layer, message: string) => never,
): Map<string, Shape> {
  const shapes = new Map<string, Shape>();
  for (const layer of layers) {
    const refused: Refuse = (message) => refuse(layer, message);
    const reads = layer.reads.map(
      (name) => shapes.get(name) ?? refused(`expected an earlier layer, found ${name}`),
    );
    shapes.set(layer.name, shapeOf(layer, reads, imageSize, refused));
  }
  return shapes;
}

/** The layers that read each activation. */
export function readersOf({ layers }: Pick<Network, 'layers'>): Map<string, Layer[]> {
  const readers = new Map<string, Layer[]>(layers.map(({ name }) => [name, []]));
  for (const layer of layers) for (const name of layer.reads) readers.get(name)!.push(layer);
  return readers;
}

/**
 * The names of the activations that narrow linear layers read: their inputs have `activationBits`.
 */
export function linearInputs({ layers }: Pick<Network, 'layers'>): ReadonlySet<string> {
  return new Set(layers.flatMap((layer) => (layer.kind === 'linear' && !layer.edge ? layer.reads : [])));
}

/** The output of each residual block, by the name of the block. */
export function blockOutputs({ layers }: Pick<Network, 'layers'>): Map<string, string> {
  return new Map(layers.flatMap(({ block, name }) => (block === undefined ? [] : [[block, name] as const])));
}

/** The activations of a model that others read, by their meaning. */
export interface Outputs {
  /** Absent for a backbone. */
  readonly logits?: string;
  /** What the head reads; `tokens` tokens side by side, whose mean are the features. */
  readonly features: { readonly layer: string; readonly tokens: number };
  /**
   * The probabilities of every block, if they can be shown as a map: `prefix` tokens, then a square
   * of patches. The head reads the mean of the tokens from `read[0]` up to, but excluding,
   * `read[1]`.
   */
  readonly attention?: {
    readonly layers: readonly string[];
    readonly prefix: number;
    readonly read: readonly [from: number, to: number];
  };
}

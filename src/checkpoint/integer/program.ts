/**
 * The program of an integer checkpoint: its layers in order of execution. Tracing it finds what
 * every layer makes, and refuses a program that the kernels cannot run within the limits.
 */

import type { IntegerActivation } from '../../layers/integer-activation.js';
import type { RuleContext } from '../../layers/integer-kind.js';
import { workOf } from '../../layers/integer-kind.js';
import { type IntegerLayer, integerKind } from '../../layers/integer-kinds.js';
import { LIMITS } from '../../layers/limits.js';
import { PIXELS } from '../../layers/patches/layer.js';
import type { TensorSpec } from '../../layers/tensor-spec.js';
import { quote } from '../../text/quote.js';

export interface Program {
  /** In order of execution. */
  readonly layers: readonly IntegerLayer[];
  /** What each layer makes, by its name. */
  readonly activations: ReadonlyMap<string, IntegerActivation>;
  /** The tensors of all layers, in their order, each with the name of its layer. */
  readonly tensors: readonly (TensorSpec & { readonly layer: string })[];
}

/** The bits of the narrowest weights, which decide which tier is the fastest. */
export function narrowestWeights({ program }: { readonly program: Program }): number {
  return Math.min(...program.layers.flatMap((layer) => (layer.kind === 'linear' ? [layer.weightBits] : [])));
}

/**
 * Finds what the layers make.
 *
 * @param refuse throws for a layer, or for the program if there is none
 */
export function traceProgram(
  layers: readonly IntegerLayer[],
  imageSize: number,
  refuse: (layer: IntegerLayer | undefined, message: string) => never,
): Program {
  const activations = new Map<string, IntegerActivation>();
  const tensors: (TensorSpec & { layer: string })[] = [];
  let work = 0;
  let heads = 0;
  for (const layer of layers) {
    const context: RuleContext = { imageSize, refuse: (message) => refuse(layer, message) };
    const made = integerKind(layer).rule(layer, operands(layer, activations, context), context);
    const { activation } = made;
    const bytes = activation.rows * (activation.columns + 15) * (activation.element === 'fine' ? 2 : 1);
    if (bytes > LIMITS.bytes) context.refuse(`expected at most ${LIMITS.bytes} bytes, found ${bytes}`);
    work += workOf(made);
    heads += made.heads ?? 0;
    if (work > LIMITS.work)
      context.refuse(
        `expected at most ${LIMITS.work} multiply-accumulates per image up to here, found ${work}`,
      );
    if (heads > LIMITS.heads)
      context.refuse(`expected at most ${LIMITS.heads} heads in all windows up to here, found ${heads}`);
    activations.set(layer.name, activation);
    tensors.push(...made.tensors.map((spec) => ({ ...spec, layer: layer.name })));
  }
  if (new Set(tensors.map(({ name }) => name)).size < tensors.length)
    refuse(undefined, 'expected tensors of its own for each layer, found two layers with the same');
  if (!layers.some(({ kind }) => kind === 'patches'))
    refuse(undefined, 'expected a layer of patches, found none: no layer reads the image');
  return { layers, activations, tensors };
}

function operands(
  layer: IntegerLayer,
  activations: ReadonlyMap<string, IntegerActivation>,
  { refuse }: RuleContext,
): IntegerActivation[] {
  const { operands: expected } = integerKind(layer);
  if (layer.name === PIXELS) refuse(`expected a name other than "${PIXELS}", which is the image`);
  if (activations.has(layer.name)) refuse('expected a name of its own, found that of an earlier layer');
  if (layer.reads.length !== expected)
    refuse(`reads: expected ${expected} names, found ${layer.reads.length}`);
  return layer.reads.map(
    (name) => activations.get(name) ?? refuse(`reads: expected an earlier layer, found ${quote(name)}`),
  );
}

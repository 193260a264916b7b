import type { Program } from '../checkpoint/integer/program.js';
import type { IntegerLayer } from '../layers/integer-kinds.js';
import type { Layer } from '../layers/layer.js';
import { type Shape, shapeOnly } from '../layers/shape.js';
import { type Network, shapesOf } from '../networks/network.js';
import { quote } from '../text/quote.js';
import type { Refuse } from '../text/refuse.js';

/**
 * Refuses an integer model whose layers are not those of a network: it computes something else than
 * the float model of the network.
 */
export function expectSameLayers(
  network: Network,
  { layers, activations }: Pick<Program, 'layers' | 'activations'>,
  refuse: Refuse,
): void {
  const shapes = shapesOf(network, ({ name }, message) => refuse(`${name}: ${message}`));
  const length = Math.max(network.layers.length, layers.length);
  for (let i = 0; i < length; i++) {
    const [expected, found] = [described(network.layers[i], shapes), described(layers[i], activations)];
    if (expected !== found) refuse(`expected ${expected}, found ${found}`);
  }
}

function described(layer: Layer | IntegerLayer | undefined, shapes: ReadonlyMap<string, Shape>): string {
  if (layer === undefined) return 'no more layers';
  const { kind, name, reads } = layer;
  const { rows, columns, ...rest } = shapeOnly(shapes.get(name)!);
  const sources = reads.length === 0 ? '' : ` of ${reads.map(quote).join(' and ')}`;
  const form = JSON.stringify(rest).slice(1, -1);
  return `${kind} ${quote(name)}${sources}, ${rows} × ${columns}${form && `, ${form}`}`;
}

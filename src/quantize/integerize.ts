import type { FloatModel } from '../checkpoint/float/model.js';
import { type Description, FORMAT, type Recipe, VERSION } from '../checkpoint/integer/description.js';
import type { IntegerModel } from '../checkpoint/integer/model.js';
import { traceProgram } from '../checkpoint/integer/program.js';
import { QuantizeError } from '../errors.js';
import { MAX_SCALE } from '../layers/checked.js';
import type { GeluLayer } from '../layers/gelu/layer.js';
import { type GeluTable, geluTable } from '../layers/gelu/table.js';
import { prefixOf } from '../layers/integer-kind.js';
import type { IntegerLayer } from '../layers/integer-kinds.js';
import type { Layer } from '../layers/layer.js';
import type { Moments } from '../layers/linear/moments.js';
import type { PatchesLayer } from '../layers/patches/layer.js';
import type { QuantizeContext } from '../layers/quantize-kind.js';
import { quantizeLayer } from '../layers/quantize-kinds.js';
import type { Shape } from '../layers/shape.js';
import type { IntegerArray } from '../layers/tensor-spec.js';
import { networkOf } from '../networks/index.js';
import { linearInputs, type Network, shapesOf } from '../networks/network.js';
import type { Quantizer } from './observers.js';

/**
 * Turns a float model and the quantisers of its activations into an integer checkpoint: codes
 * instead of weights, integer multipliers and shifts instead of scales, tables instead of
 * functions.
 *
 * @param quantizers by the names of the network's layers
 * @param moments of the inputs of linear layers, by the names of their quantisers: the weights of
 *   those layers are rounded with error feedback, all others to nearest
 * @throws QuantizeError `QUANTIZER_MISSING`, `QUANTIZER_RANGE` for a scale that is 0, infinite or
 *   NaN
 */
export function integerize(...parameters: Parameters<typeof integerizeByLayer>): IntegerModel {
  const layers = integerizeByLayer(...parameters);
  let layer = layers.next();
  while (!layer.done) layer = layers.next();
  return layer.value;
}

/**
 * Like `integerize`, but yields before every linear layer: error feedback takes long.
 */
export function* integerizeByLayer(
  model: FloatModel,
  quantizers: ReadonlyMap<string, Quantizer>,
  recipe: Recipe,
  moments: ReadonlyMap<string, Moments> = new Map(),
  network: Network = networkOf(model.architecture, true),
): Generator<void, IntegerModel> {
  const context = new Quantization(model, network, quantizers, recipe, moments);
  const layers: IntegerLayer[] = [];
  const tensors = new Map<string, IntegerArray>();
  for (const layer of network.layers) {
    if (layer.kind === 'linear') yield;
    const { kind, name, reads, parameters } = layer;
    const { attributes, tensors: made } = quantizeLayer(layer, context);
    const base = { kind, name, reads, ...(parameters === undefined ? {} : { parameters }) };
    layers.push({ ...base, ...attributes } as IntegerLayer);
    for (const [suffix, tensor] of Object.entries(made))
      if (tensor !== undefined) tensors.set(`${prefixOf(layer)}.${suffix}`, tensor);
  }
  const { layerNormEps: _, ...architecture } = model.architecture;
  const description: Description = {
    format: FORMAT,
    version: VERSION,
    architecture,
    preprocessing: model.preprocessing,
    labels: model.labels,
    ...(model.wnids ? { wnids: model.wnids } : {}),
    output: model.output,
    recipe,
    program: traceProgram(layers, network.imageSize, refuse),
    outputs: network.outputs,
  };
  return { ...description, tensors };
}

/** @throws QuantizeError `MODEL_SHAPE` */
function refuse(layer: Pick<Layer, 'name'> | undefined, message: string): never {
  throw new QuantizeError('MODEL_SHAPE', `${layer === undefined ? 'model' : layer.name}: ${message}`);
}

class Quantization implements QuantizeContext {
  readonly #shapes: ReadonlyMap<string, Shape>;
  readonly #layers: ReadonlyMap<string, Layer>;
  readonly #narrow: ReadonlySet<string>;
  readonly #tables = new Map<string, GeluTable>();

  constructor(
    readonly model: FloatModel,
    private readonly network: Network,
    private readonly quantizers: ReadonlyMap<string, Quantizer>,
    readonly recipe: Recipe,
    private readonly allMoments: ReadonlyMap<string, Moments>,
  ) {
    this.#shapes = shapesOf(network, refuse);
    this.#layers = new Map(network.layers.map((layer) => [layer.name, layer]));
    this.#narrow = linearInputs(network);
  }

  shape(name: string): Shape {
    return this.#shapes.get(name)!;
  }

  moments(name: string): Moments | undefined {
    return this.allMoments.get(name);
  }

  float(name: string): Float32Array {
    const tensor = this.model.tensors.get(name);
    if (tensor === undefined)
      throw new QuantizeError('MODEL_TENSOR', `the float model has no tensor ${name}`);
    return tensor.data;
  }

  highest(name: string): number {
    return this.#narrow.has(name) ? 2 ** this.recipe.activationBits - 1 : 255;
  }

  patches(name: string): PatchesLayer | undefined {
    const layer = this.#layers.get(name)!;
    return layer.kind === 'patches' ? layer : undefined;
  }

  geluTable(name: string): GeluTable {
    let table = this.#tables.get(name);
    if (table === undefined) {
      const reads = (layer: Layer) => layer.kind === 'gelu' && layer.reads[0] === name;
      const { name: to, gelu } = this.network.layers.find(reads) as GeluLayer;
      table = geluTable(this.quantizer(to), this.highest(to), gelu);
      this.#tables.set(name, table);
    }
    return table;
  }

  quantizer(name: string): Quantizer {
    const quantizer = this.quantizers.get(name);
    if (quantizer === undefined) {
      throw new QuantizeError(
        'QUANTIZER_MISSING',
        `expected a quantiser "${name}" from the calibration, found none`,
      );
    }
    const { scale, zeroPoint } = quantizer;
    const highest = this.highest(name);
    const isCode = Number.isInteger(zeroPoint) && zeroPoint >= 0 && zeroPoint <= highest;
    if (scale > 0 && scale <= MAX_SCALE && isCode) return quantizer;
    throw new QuantizeError(
      'QUANTIZER_RANGE',
      `quantiser "${name}": expected a scale above 0, at most ${MAX_SCALE}, and a zero point from 0 to ${highest}, found ${scale} and ${zeroPoint}`,
    );
  }
}

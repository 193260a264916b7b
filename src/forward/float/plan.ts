import type { FloatModel } from '../../checkpoint/float/model.js';
import { QuantizeError } from '../../errors.js';
import { type FloatStep, floatKind, shownShape } from '../../layers/float-kinds.js';
import type { FloatPlan } from '../../layers/float-plan.js';
import type { Layer } from '../../layers/layer.js';
import type { Shape } from '../../layers/shape.js';
import { type Network, shapesOf } from '../../networks/network.js';
import { arrange } from '../arrange.js';
import type { ParameterPlan } from './parameters.js';

/** A region of memory. Its address is known when the plan is placed. */
export interface MemoryRegion {
  address: number;
  readonly bytes: number;
  first: number;
  last: number;
}

/** A step of a float run, and what it shows to an observer. */
export interface PlannedStep {
  readonly run: FloatStep;
  /** Undefined if nobody observes it, or if the step shows it itself. */
  readonly shown?: {
    readonly name: string;
    readonly place: { readonly address: number };
    shape(batch: number): number[];
  };
}

/**
 * The forward pass of a float network over `batch` images: the layers in order, each planned by its
 * kind, over regions that activations share if they do not live at the same time.
 */
export class FloatModelPlan implements FloatPlan {
  readonly steps: PlannedStep[] = [];
  panelBytes = 0;
  /** Bytes of the region that all activations share, once they are arranged. */
  readonly bytes: number;
  readonly #regions: MemoryRegion[] = [];
  readonly #places = new Map<string, { address: number }>();
  readonly #shapes: ReadonlyMap<string, Shape>;
  readonly #lastReader = new Map<string, number>();
  readonly #layers: ReadonlyMap<string, Layer>;

  constructor(
    readonly model: FloatModel,
    readonly network: Network,
    readonly parameters: ParameterPlan,
    readonly batch: number,
  ) {
    const { layers, outputs } = network;
    this.#shapes = shapesOf(network, refuse);
    this.#layers = new Map(layers.map((layer) => [layer.name, layer]));
    for (const [i, { reads }] of layers.entries()) for (const name of reads) this.#lastReader.set(name, i);
    if (outputs.logits !== undefined) this.#lastReader.set(outputs.logits, layers.length);
    for (const layer of layers) {
      const { plan, showsItself } = floatKind(layer);
      const run = plan(layer, this);
      const isShown = !showsItself && !(layer.kind === 'linear' && layer.fine);
      this.steps.push(isShown ? { run, shown: this.shown(layer) } : { run });
    }
    this.bytes = arrange(this.#regions);
  }

  /** Moves the activations to `start`. */
  place(start: number): void {
    for (const region of this.#regions) region.address += start;
  }

  get imageSize(): number {
    return this.network.imageSize;
  }

  shape(name: string): Shape {
    return this.#shapes.get(name)!;
  }

  layer(name: string): Layer {
    return this.#layers.get(name)!;
  }

  at(name: string): { readonly address: number } {
    return this.#places.get(name)!;
  }

  output({ name }: Layer): { readonly address: number } {
    const { rows, columns } = this.shape(name);
    const region = this.#region(4 * this.batch * rows * columns, this.#lastReader.get(name));
    this.#places.set(name, region);
    return region;
  }

  inPlace({ name, reads }: Layer): { readonly address: number } {
    const region = this.#places.get(reads[0]!) as MemoryRegion;
    if (this.#lastReader.get(reads[0]!)! > this.steps.length)
      throw new Error(`${name}: expected to be the last that reads ${reads[0]}`);
    region.last = Math.max(region.last, this.#lastReader.get(name) ?? 0, this.steps.length);
    this.#places.set(name, region);
    return region;
  }

  constant({ name }: Layer, address: number): void {
    this.#places.set(name, { address });
  }

  temporary(bytes: number): { readonly address: number } {
    return this.#region(bytes, undefined);
  }

  /** What an observer sees of a layer. */
  shown(layer: Layer): NonNullable<PlannedStep['shown']> {
    const made = this.shape(layer.name);
    const shape = (batch: number) => shownShape(layer, made, batch);
    return { name: layer.name, place: this.at(layer.name), shape };
  }

  #region(bytes: number, last = this.steps.length): MemoryRegion {
    const first = this.steps.length;
    const region = {
      address: 0,
      bytes: 16 * Math.ceil((bytes + 16) / 16),
      first,
      last: Math.max(first, last),
    };
    this.#regions.push(region);
    return region;
  }
}

/** @throws QuantizeError `MODEL_SHAPE` */
function refuse({ name }: Layer, message: string): never {
  throw new QuantizeError('MODEL_SHAPE', `${name}: ${message}`);
}

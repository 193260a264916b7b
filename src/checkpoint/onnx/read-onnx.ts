/**
 * Reads float ONNX models of ViT, DeiT and Swin, as PyTorch exports them from timm, Hugging Face's
 * transformers and torchvision. Exporters rename weights, transpose them and split layers into
 * operators, so names are not used. Instead, the graph is evaluated to an expression of the image,
 * which is matched against the architecture from the output back to the input. An accepted graph
 * computes exactly what its tensors mean under their canonical names.
 */

import { CheckpointError, UsageError } from '../../errors.js';
import { quote } from '../../text/quote.js';
import type { Tensor } from '../safetensors/safetensors.js';
import { describe } from './call.js';
import { evaluate } from './evaluate.js';
import type { GeluKind, View } from './expression.js';
import { type ExternalFiles, externalLocation, numberType, storedTensor } from './stored.js';
import { takeSwin } from './swin.js';
import { Trails, type WeightPart } from './trail.js';
import { Layouts } from './view.js';
import { type Head, takeVit } from './vit.js';
import { GraphWeights, type Weight } from './weights.js';
import { type OnnxGraph, type OnnxValue, readGraph, refuseNode } from './wire.js';

/** What the graph of a model shows besides its weights. */
export interface OnnxConfig {
  /** DeiT and ViT have the same graph. */
  readonly family: 'vit' | 'swin';
  /** For a Swin, those of its first stage. */
  readonly num_heads: number;
  readonly layer_norm_eps: number;
  /** Undefined if the graph accepts several image sizes. */
  readonly image_size: number | undefined;
  readonly gelu: GeluKind;
}

/**
 * The weights under timm's ViT names or Microsoft's Swin names, in the order of the forward pass.
 */
export interface OnnxModel {
  readonly tensors: ReadonlyMap<string, Tensor>;
  readonly config: OnnxConfig;
}

export interface OnnxOptions {
  /** The file name for messages. Default: `model`. */
  file?: string | undefined;
  /** The image size for a Swin that accepts several. Default: 224. */
  imageSize?: number | undefined;
  /** The external data files that {@link externalNames} lists. */
  externalFiles?: ExternalFiles | undefined;
}

/** Operators of quantised graphs. */
const QUANTISED = /Quantize|Integer|^QLinear|^Q(Attention|Gemm)|MatMul(NBits|Bnb4|FpQ4)/;

/**
 * The image size to assume if the graph does not say, which nearly all published models have. Any
 * size would do for reading weights, unless the graph was exported for one size.
 */
const TRACED_SIZE = 224;

/**
 * Reads a float ONNX model.
 *
 * ```ts
 * const { tensors, config } = readOnnx(await readFile('model.onnx'), { file: 'model.onnx' });
 * ```
 *
 * @param bytes the whole file; tensors may be views on it; they are float16, bfloat16, float32 or
 *   float64
 * @throws CheckpointError
 *   `CHECKPOINT_FORMAT` the file is not an ONNX model, or damaged;
 *   `CHECKPOINT_GRAPH` the graph is invalid: cycles, values without a source, incompatible shapes;
 *   `CHECKPOINT_TENSOR` the type, shape and data of a tensor do not fit together;
 *   `CHECKPOINT_EXTERNAL` weights are in an external file that was not passed;
 *   `CHECKPOINT_QUANTISED` the model is already quantised;
 *   `CHECKPOINT_NETWORK` the graph has no image input, or is another network; the message names the
 *   node
 * @throws UsageError `BYTES` if `bytes` is not a `Uint8Array`
 */
export function readOnnx(bytes: Uint8Array, options: OnnxOptions = {}): OnnxModel {
  const file = options.file ?? 'model';
  if (!(bytes instanceof Uint8Array)) {
    const found = Object.prototype.toString.call(bytes);
    throw new UsageError('BYTES', `${file}: expected the bytes of a file (a Uint8Array), found ${found}`);
  }
  const graph = readGraph(plain(bytes), file);
  refuseQuantised(graph);
  const input = imageInput(graph, options.imageSize, file);
  try {
    return readFor(input, graph, bytes.length, { ...options, file });
  } catch (cause) {
    if (input.fixed || !(cause instanceof CheckpointError)) throw cause;
    if (cause.code !== 'CHECKPOINT_NETWORK' && cause.code !== 'CHECKPOINT_GRAPH') throw cause;
    // The exporter may have computed a mask or a shape for one size.
    const hint = `the graph has no image size and was read for ${input.size}: pass the size that it was exported for`;
    throw new CheckpointError(cause.code, `${cause.message} (${hint})`, { cause });
  }
}

/**
 * The relative paths of the external files with a model's weights. They stay inside its folder.
 *
 * @throws CheckpointError `CHECKPOINT_FORMAT`, `CHECKPOINT_EXTERNAL`
 */
export function externalNames(bytes: Uint8Array, file: string): string[] {
  const { initialisers, nodes } = readGraph(plain(bytes), file);
  const constants = nodes.flatMap(({ attributes }) => [...attributes.values()].map(({ tensor }) => tensor));
  const names = [...initialisers, ...constants].map((tensor) => tensor && externalLocation(tensor, file));
  return [...new Set(names)].filter((name) => name !== undefined);
}

/** The input for the image. */
interface ImageInput {
  readonly name: string;
  /** Side in pixels. */
  readonly size: number;
  /** Whether the graph determines the size. */
  readonly fixed: boolean;
}

function readFor(
  { name: image, size, fixed }: ImageInput,
  graph: OnnxGraph,
  fileBytes: number,
  options: OnnxOptions & { file: string },
): OnnxModel {
  const { file } = options;
  const externalFiles = new Map(
    [...(options.externalFiles ?? [])].map(([name, found]) => [name, plain(found)]),
  );
  const layouts = new Layouts(file);
  /** Tensors may share bytes: together they count for no more bytes than the files have. */
  let left = [...externalFiles.values()].reduce((sum, { length }) => sum + length, fileBytes);
  let stored = 0;
  const output = evaluate({
    graph,
    file,
    image,
    shape: [1, 3, size, size],
    output: outputName(graph, file),
    stored: (tensor) => {
      const view = storedTensor(tensor, externalFiles, file);
      const counted = Math.min(left, view.source.stored?.data.length ?? 0);
      left -= counted;
      stored += counted;
      layouts.grant(counted);
      return view;
    },
    layouts,
  });
  const trails = new Trails(layouts, new GraphWeights(layouts, file, stored));
  const { family, weights } = takeModel(trails, output, file);
  const tensors = new Map([...weights].map(([name, weight]) => [name, { name, ...weight }]));
  const { heads, epsilon, gelu } = trails.common;
  return {
    tensors,
    config: {
      family,
      num_heads: heads!,
      layer_norm_eps: epsilon!,
      image_size: fixed ? size : options.imageSize,
      gelu: gelu!,
    },
  };
}

/** Returns a plain Uint8Array: a Buffer slices and copies differently. */
function plain(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
}

function refuseQuantised({ nodes }: OnnxGraph): void {
  const node = nodes.find(({ op }) => QUANTISED.test(op));
  if (node) refuseNode(node, 'expected a float model, found a quantised model', 'CHECKPOINT_QUANTISED');
}

/** Matches one head or the mean of DeiT's two heads, then a ViT or a Swin. */
function takeModel(
  trails: Trails,
  output: View,
  file: string,
): { family: 'vit' | 'swin'; weights: ReadonlyMap<string, Weight> } {
  const heads = headViews(trails, output).map((view) => takeHead(trails, view, file));
  const [{ tail, part }] = heads as [Head];
  const channels = part.get('head.weight')!.shape[1]!;
  const { kind } = tail.view.source;
  if (kind === 'mean' && heads.length === 1)
    return { family: 'swin', weights: takeSwin(trails, tail, part, channels) };
  if (kind === 'norm') return { family: 'vit', weights: takeVit(trails, heads, channels) };
  return refuseNode(
    tail.node,
    `expected the class token of a ViT after a LayerNorm or the mean of the tokens of a Swin, found ${describe(tail.view)}`,
  );
}

/** The output, or the two views of which it is the mean. */
function headViews(trails: Trails, output: View): View[] {
  const { source, factor } = output;
  if (source.kind !== 'add' || !trails.layouts.isWhole(output)) return [output];
  return [source.a, source.b].map((view) => ({ ...view, factor: 2 * factor * view.factor }));
}

function takeHead(trails: Trails, view: View, file: string): Head {
  const { source } = view;
  if (source.kind !== 'linear' || !trails.layouts.isWhole(view)) {
    throw new CheckpointError(
      'CHECKPOINT_NETWORK',
      `${file}: expected the whole output of a linear classifier, or the mean of two, found ${describe(view)} or a part of it`,
    );
  }
  const part: WeightPart = new Map();
  const [classes] = source.weight.shape as [number];
  const tail = trails.linear({ view, rows: undefined, node: source.node }, part, 'head', classes);
  return { tail, part };
}

function outputName({ outputs }: OnnxGraph, file: string): string {
  const output = outputs.find(({ name }) => name === 'logits') ?? outputs[0];
  if (output && (outputs.length === 1 || output.name === 'logits')) return output.name;
  throw new CheckpointError(
    'CHECKPOINT_NETWORK',
    `${file}: expected one output, or one named "logits", found ${listed(outputs)}`,
  );
}

function imageInput(graph: OnnxGraph, askedSize: number | undefined, file: string): ImageInput {
  // Up to version 3 of the format, weights were also inputs.
  const weights = new Set(graph.initialisers.map(({ name }) => name));
  const inputs = graph.inputs.filter(({ name }) => !weights.has(name));
  const [image, other] = inputs.filter(
    ({ elementType, dims }) =>
      numberType(elementType) === 'float' && dims?.length === 4 && (dims[1] ?? 3) === 3,
  );
  if (!image || other) {
    throw new CheckpointError(
      'CHECKPOINT_NETWORK',
      `${file}: expected one float input [batch, 3, height, width], found ${listed(inputs)}`,
    );
  }
  const { name, dims } = image;
  const [batch = 1, , height, width] = dims!;
  if (batch !== 1 || height !== width) {
    throw new CheckpointError(
      'CHECKPOINT_NETWORK',
      `${file}: input ${quote(name)}: expected one square image, found ${batch} of ${width}×${height}`,
    );
  }
  const told = height ?? sizeOfPositions(graph, name);
  return { name, size: told ?? askedSize ?? TRACED_SIZE, fixed: told !== undefined };
}

/**
 * The image size that the position embeddings imply, if there are any. They are the longest tensor
 * of [1, tokens, channels] with a square number of patches and up to two other tokens.
 */
function sizeOfPositions({ nodes, initialisers }: OnnxGraph, image: string): number | undefined {
  const convolution = nodes.find(({ op, inputs }) => op === 'Conv' && inputs[0] === image);
  const weight = initialisers.find(({ name }) => name === convolution?.inputs[1]);
  const [channels, , patch = 0] = weight?.dims ?? [];
  let side = 1;
  for (const { dims } of initialisers) {
    const [first, tokens = 0, last] = dims;
    if (dims.length !== 3 || first !== 1 || last !== channels) continue;
    const sides = [0, 1, 2].map((others) => Math.sqrt(tokens - others));
    side = Math.max(side, sides.find(Number.isInteger) ?? 1);
  }
  return side === 1 ? undefined : side * patch;
}

function listed(values: readonly OnnxValue[]): string {
  const first = values.slice(0, 5).map(({ name, dims }) => {
    const sizes = dims?.slice(0, 8).map((n) => n ?? '?');
    return `${quote(name)} [${sizes?.join(', ') ?? '...'}]`;
  });
  return values.length === 0 ? 'none' : first.join(', ') + (values.length > first.length ? ', ...' : '');
}

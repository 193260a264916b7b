/** The exports of fixtures/make.py, and tools to change their graphs. */

import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import {
  type OnnxAttribute,
  type OnnxGraph,
  type OnnxNode,
  type OnnxTensor,
  type OnnxValue,
  readGraph,
} from '../../../src/checkpoint/onnx/wire.js';
import { readSafetensors, type Tensor } from '../../../src/checkpoint/safetensors/safetensors.js';

const fixtures = new URL('fixtures/', import.meta.url);

/** The inflated bytes of an export. */
export function exported(name: string): Uint8Array {
  return new Uint8Array(gunzipSync(readFileSync(new URL(`${name}.onnx.gz`, fixtures))));
}

/** The weights of all exports of a family. */
export function expectedWeights(family: 'vit' | 'vit-distilled' | 'swin'): Map<string, Tensor> {
  const bytes = new Uint8Array(readFileSync(new URL(`${family}.safetensors`, fixtures)));
  return new Map(readSafetensors(bytes).tensors);
}

/** A mutable graph. */
export type MutableGraph = {
  -readonly [K in keyof OnnxGraph]: OnnxGraph[K] extends readonly (infer T)[] ? Mutable<T>[] : OnnxGraph[K];
};
type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Writes an export again, with its graph changed. */
export function changed(name: string, change: (graph: MutableGraph) => void): Uint8Array {
  const graph = readGraph(exported(name), name) as MutableGraph;
  change(graph);
  return written(graph);
}

/**
 * An export with all float tensors in an external file, as torch writes it for 2 GB and, since 2.9,
 * always.
 */
export function outside(name: string, location: string): { model: Uint8Array; data: Uint8Array } {
  let data = new Uint8Array(4096);
  const model = changed(name, (graph) => {
    for (const tensor of graph.initialisers) {
      if (tensor.dataType !== 1 || !tensor.raw) continue;
      const place = { location, offset: data.length, length: tensor.raw.length };
      tensor.external = new Map(Object.entries(place).map(([key, value]) => [key, String(value)]));
      data = new Uint8Array([...data, ...tensor.raw]);
      tensor.raw = undefined;
    }
  });
  return { model, data };
}

export function written({ opset, nodes, initialisers, inputs, outputs }: OnnxGraph): Uint8Array {
  const graph = message((writer) => {
    for (const node of nodes) nested(writer, 1, writtenNode(node));
    for (const tensor of initialisers) nested(writer, 5, writtenTensor(tensor));
    for (const value of inputs) nested(writer, 11, writtenValue(value));
    for (const value of outputs) nested(writer, 12, writtenValue(value));
  });
  return message((writer) => {
    writer.tag(1, WireType.Varint).int64(8);
    nested(writer, 7, graph);
    nested(
      writer,
      8,
      message((inner) => inner.tag(2, WireType.Varint).int64(opset)),
    );
  });
}

/** The first node with this operator. */
export function nodeOf(graph: MutableGraph, op: string): Mutable<OnnxNode> {
  return graph.nodes.find((node) => node.op === op)!;
}

/** The nodes that read a value. */
export function consumersOf(graph: MutableGraph, value: string): Mutable<OnnxNode>[] {
  return graph.nodes.filter(({ inputs }) => inputs.includes(value));
}

/** Inserts a node between a value and a node that reads it. */
export function insert(
  graph: MutableGraph,
  value: string,
  consumer: Mutable<OnnxNode>,
  op: string,
  others: readonly string[] = [],
  numbers: Readonly<Record<string, number | readonly number[]>> = {},
): void {
  const name = `inserted ${graph.nodes.length}`;
  const attributes = Object.entries(numbers).map(([key, found]): [string, OnnxAttribute] => {
    const [number, list] = typeof found === 'number' ? [found, []] : [undefined, found];
    return [key, { number, numbers: list, text: undefined, tensor: undefined }];
  });
  consumer.inputs = consumer.inputs.map((input) => (input === value ? name : input));
  const inputs = [value, ...others];
  graph.nodes.push({
    file: '',
    name,
    op,
    domain: '',
    inputs,
    outputs: [name],
    attributes: new Map(attributes),
  });
}

/** Adds an int64 tensor to the graph and returns its name. */
export function integers(graph: MutableGraph, name: string, numbers: number[]): string {
  graph.initialisers.push({ ...floats(name, [numbers.length], []), dataType: 7, raw: undefined, numbers });
  return name;
}

/** A float32 tensor. */
export function floats(name: string, dims: number[], values: readonly number[]): OnnxTensor {
  const raw = new Uint8Array(Float32Array.from(values).buffer);
  return { name, dims, dataType: 1, raw, numbers: undefined, external: undefined };
}

export function message(write: (writer: BinaryWriter) => void): Uint8Array {
  const writer = new BinaryWriter();
  write(writer);
  return writer.finish();
}

export function nested(writer: BinaryWriter, field: number, bytes: Uint8Array): void {
  writer.tag(field, WireType.LengthDelimited).bytes(bytes);
}

function text(writer: BinaryWriter, field: number, value: string): void {
  writer.tag(field, WireType.LengthDelimited).string(value);
}

function writtenNode({ inputs, outputs, name, op, domain, attributes }: OnnxNode): Uint8Array {
  return message((writer) => {
    for (const value of inputs) text(writer, 1, value);
    for (const value of outputs) text(writer, 2, value);
    text(writer, 3, name);
    text(writer, 4, op);
    for (const [key, attribute] of attributes) nested(writer, 5, writtenAttribute(key, attribute));
    text(writer, 7, domain);
  });
}

function writtenAttribute(key: string, { number, numbers, text: string, tensor }: OnnxAttribute): Uint8Array {
  return message((writer) => {
    text(writer, 1, key);
    if (number !== undefined && Number.isInteger(number))
      writer.tag(3, WireType.Varint).int64(BigInt(number));
    else if (number !== undefined) writer.tag(2, WireType.Bit32).float(number);
    if (string !== undefined) text(writer, 4, string);
    if (tensor) nested(writer, 5, writtenTensor(tensor));
    for (const member of numbers) writer.tag(8, WireType.Varint).int64(BigInt(member));
  });
}

export function writtenTensor({ name, dims, dataType, raw, numbers, external }: OnnxTensor): Uint8Array {
  return message((writer) => {
    for (const n of dims) writer.tag(1, WireType.Varint).int64(BigInt(n));
    writer.tag(2, WireType.Varint).int32(dataType);
    const packed = message((inner) => {
      for (const n of numbers ?? []) inner.int64(BigInt(n));
    });
    // int32_data holds 16-bit floats, int64_data holds shapes.
    if (numbers) nested(writer, dataType === 7 ? 7 : 5, packed);
    text(writer, 8, name);
    // float_data and double_data, where exporters would write raw_data
    if (raw) nested(writer, { 1: 4, 11: 10 }[dataType] ?? 9, raw);
    for (const [key, value] of external ?? []) {
      nested(
        writer,
        13,
        message((inner) => {
          text(inner, 1, key);
          text(inner, 2, value);
        }),
      );
    }
    if (external) writer.tag(14, WireType.Varint).int32(1);
  });
}

function writtenValue({ name, elementType, dims }: OnnxValue): Uint8Array {
  const shape = message((writer) => {
    for (const n of dims ?? []) {
      nested(
        writer,
        1,
        message((inner) =>
          n === undefined ? text(inner, 2, 'size') : inner.tag(1, WireType.Varint).int64(n),
        ),
      );
    }
  });
  const tensor = message((writer) => {
    writer.tag(1, WireType.Varint).int32(elementType);
    nested(writer, 2, shape);
  });
  return message((writer) => {
    text(writer, 1, name);
    nested(
      writer,
      2,
      message((inner) => nested(inner, 1, tensor)),
    );
  });
}

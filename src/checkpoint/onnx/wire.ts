/**
 * Reads the required part of ONNX's protobuf, by the field numbers of onnx.proto3
 * (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3), without a schema. The generated
 * classes of a protobuf library would turn the `float_data` of 86 million weights into an array of
 * numbers, and unused messages into objects. The nesting depth is fixed: graphs inside attributes
 * are not read.
 */

import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { CheckpointError } from '../../errors.js';
import { quote } from '../../text/quote.js';
import { MAX_RANK } from '../safetensors/header.js';

/** A node of the graph; `file` is the file name for messages. */
export interface OnnxNode {
  readonly file: string;
  readonly name: string;
  readonly op: string;
  /** Empty or `ai.onnx` for standard operators. */
  readonly domain: string;
  /** Names of values; an empty name stands for an omitted optional input. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: ReadonlyMap<string, OnnxAttribute>;
}

/** The value of an attribute, for the types that vision transformers use. */
export interface OnnxAttribute {
  readonly number: number | undefined;
  readonly numbers: readonly number[];
  readonly text: string | undefined;
  readonly tensor: OnnxTensor | undefined;
}

/** A tensor as declared in the file; only the number of its dimensions is checked. */
export interface OnnxTensor {
  readonly name: string;
  readonly dims: readonly number[];
  /** `TensorProto.DataType`. */
  readonly dataType: number;
  /** `raw_data`, `float_data` or `double_data`: little-endian elements. */
  readonly raw: Uint8Array | undefined;
  /** `int32_data`, `int64_data` or `uint64_data`: numbers, or the bits of 16-bit floats. */
  readonly numbers: readonly number[] | undefined;
  /** The location of external data: `location`, `offset`, `length`. */
  readonly external: ReadonlyMap<string, string> | undefined;
}

/** An input or output; a symbolic dimension is undefined. */
export interface OnnxValue {
  readonly name: string;
  readonly elementType: number;
  /** Undefined if the file does not say. */
  readonly dims: readonly (number | undefined)[] | undefined;
}

export interface OnnxGraph {
  /** Version of the standard operators. */
  readonly opset: number;
  readonly nodes: readonly OnnxNode[];
  readonly initialisers: readonly OnnxTensor[];
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
}

/**
 * Nodes and tensors: five times as many as in a Swin of 24 blocks without constant folding. Bounds
 * the memory for a hostile file.
 */
const MAX_NODES = 50_000;

/** The first opset with today's broadcasting. */
const OLDEST_OPSET = 7;

/** Members of a list: far above every operator used here. `Concat` has one input per part. */
const MAX_MEMBERS = 4096;
/** Members of all lists together: a node has two or three inputs and an output. */
const MAX_ALL_MEMBERS = 10 * MAX_NODES;

/**
 * Reads the graph of an ONNX model. Tensors are views on `bytes`.
 *
 * @throws CheckpointError `CHECKPOINT_FORMAT` if the bytes are not protobuf or not an ONNX model
 */
export function readGraph(bytes: Uint8Array, file: string): OnnxGraph {
  try {
    return new WireReader(file).model(bytes);
  } catch (cause) {
    if (cause instanceof CheckpointError) throw cause;
    // Errors of the library: a varint that is too long, or a premature end.
    const found = cause instanceof Error ? cause.message : String(cause);
    throw new CheckpointError(
      'CHECKPOINT_FORMAT',
      `${file}: expected an ONNX model, found damaged protobuf (${found})`,
      { cause },
    );
  }
}

/** Reads a field: the reader is before the value, which has this wire type. */
type Field = (reader: BinaryReader, wire: WireType) => void;

class WireReader {
  readonly #file: string;
  #nodes = 0;
  #members = 0;

  constructor(file: string) {
    this.#file = file;
  }

  model(bytes: Uint8Array): OnnxGraph {
    let graph: Omit<OnnxGraph, 'opset'> | undefined;
    let opset = 0;
    this.#message(bytes, {
      7: this.#nested((member) => {
        if (graph) this.#refuse('one graph, found two');
        graph = this.#graph(member);
      }),
      8: this.#nested((member) => {
        let domain = '';
        let version = 0;
        this.#message(member, { 1: this.#text((v) => (domain = v)), 2: this.#integer((v) => (version = v)) });
        if (isStandard(domain)) opset = version;
      }),
    });
    if (!graph) return this.#refuse('an ONNX model with a graph, found none');
    if (opset < OLDEST_OPSET)
      this.#refuse(`operators of opset ${OLDEST_OPSET} or later, found ${opset === 0 ? 'none' : opset}`);
    return { ...graph, opset };
  }

  #graph(bytes: Uint8Array): Omit<OnnxGraph, 'opset'> {
    const nodes: OnnxNode[] = [];
    const initialisers: OnnxTensor[] = [];
    const inputs: OnnxValue[] = [];
    const outputs: OnnxValue[] = [];
    const counted = (read: (member: Uint8Array) => void): Field =>
      this.#nested((member) => {
        if (++this.#nodes > MAX_NODES) this.#refuse(`at most ${MAX_NODES} nodes and tensors, found more`);
        read(member);
      });
    this.#message(bytes, {
      1: counted((member) => nodes.push(this.#node(member))),
      5: counted((member) => initialisers.push(this.#tensor(member))),
      11: counted((member) => inputs.push(this.#value(member))),
      12: counted((member) => outputs.push(this.#value(member))),
      15: () => this.#refuse('dense initialisers, found a sparse initialiser'),
    });
    return { nodes, initialisers, inputs, outputs };
  }

  #node(bytes: Uint8Array): OnnxNode {
    const inputs: string[] = [];
    const outputs: string[] = [];
    const attributes = new Map<string, OnnxAttribute>();
    let [name, op, domain] = ['', '', ''];
    const listed = (list: string[]) => this.#text((v) => this.#bounded(list, v));
    this.#message(bytes, {
      1: listed(inputs),
      2: listed(outputs),
      3: this.#text((v) => (name = v)),
      4: this.#text((v) => (op = v)),
      5: this.#nested((member) => {
        if (attributes.size >= MAX_MEMBERS) this.#refuse(`at most ${MAX_MEMBERS} attributes, found more`);
        const { key, ...attribute } = this.#attribute(member);
        attributes.set(key, attribute);
      }),
      7: this.#text((v) => (domain = v)),
    });
    return { file: this.#file, name, op, domain, inputs, outputs, attributes };
  }

  #attribute(bytes: Uint8Array): OnnxAttribute & { key: string } {
    let key = '';
    let number: number | undefined;
    let text: string | undefined;
    let tensor: OnnxTensor | undefined;
    const numbers: number[] = [];
    this.#message(bytes, {
      1: this.#text((v) => (key = v)),
      2: (reader, wire) => {
        this.#expect(wire, WireType.Bit32);
        number = reader.float();
      },
      3: this.#integer((v) => (number = v)),
      4: this.#text((v) => (text = v)),
      5: this.#nested((member) => (tensor = this.#tensor(member))),
      7: this.#repeated(WireType.Bit32, (reader) => numbers.push(reader.float())),
      8: this.#repeated(WireType.Varint, (reader) => numbers.push(Number(reader.int64()))),
    });
    return { key, number, numbers, text, tensor };
  }

  #tensor(bytes: Uint8Array): OnnxTensor {
    const dims: number[] = [];
    let raw: Uint8Array | undefined;
    let numbers: number[] | undefined;
    let external: Map<string, string> | undefined;
    let [dataType, name] = [0, ''];
    const data = (member: Uint8Array) => {
      if (raw) this.#refuse('the data of a tensor in one piece, found a second');
      raw = member;
    };
    const integers = (value: (reader: BinaryReader) => number | bigint | string) =>
      this.#repeated(WireType.Varint, (reader) => {
        numbers ??= [];
        numbers.push(Number(value(reader)));
      });
    this.#message(bytes, {
      1: this.#repeated(WireType.Varint, (reader) => {
        if (dims.length >= MAX_RANK) this.#refuse(`tensors of at most ${MAX_RANK} dimensions, found more`);
        dims.push(Number(reader.int64()));
      }),
      2: this.#integer((v) => (dataType = v)),
      3: () => this.#refuse('whole tensors, found a segment of a tensor'),
      4: this.#nested(data),
      5: integers((reader) => reader.int32()),
      7: integers((reader) => reader.int64()),
      8: this.#text((v) => (name = v)),
      9: this.#nested(data),
      10: this.#nested(data),
      11: integers((reader) => reader.uint64()),
      13: this.#nested((member) => {
        let [key, value] = ['', ''];
        this.#message(member, { 1: this.#text((v) => (key = v)), 2: this.#text((v) => (value = v)) });
        external ??= new Map();
        external.set(key, value);
      }),
    });
    return { name, dims, dataType, raw, numbers, external };
  }

  #value(bytes: Uint8Array): OnnxValue {
    const value: { name: string; elementType: number; dims: (number | undefined)[] | undefined } = {
      name: '',
      elementType: 0,
      dims: undefined,
    };
    const dimension = (member: Uint8Array) => {
      let size: number | undefined;
      this.#message(member, { 1: this.#integer((v) => (size = v)) });
      value.dims ??= [];
      this.#bounded(value.dims, size);
    };
    const tensorType = {
      1: this.#integer((v) => (value.elementType = v)),
      2: this.#nested((shape) => this.#message(shape, { 1: this.#nested(dimension) })),
    };
    this.#message(bytes, {
      1: this.#text((v) => (value.name = v)),
      2: this.#nested((type) =>
        this.#message(type, { 1: this.#nested((member) => this.#message(member, tensorType)) }),
      ),
    });
    return value;
  }

  /** Reads the listed fields and skips all others. */
  #message(bytes: Uint8Array, fields: Readonly<Record<number, Field>>): void {
    const reader = new BinaryReader(bytes);
    while (reader.pos < reader.len) {
      const [number, wire] = reader.tag();
      const field = fields[number];
      if (field) field(reader, wire);
      else reader.skip(wire, number);
    }
    if (reader.pos > reader.len)
      this.#refuse('a field that ends inside its message, found one that ends after it');
  }

  #nested(read: (member: Uint8Array) => void): Field {
    return (reader, wire) => {
      this.#expect(wire, WireType.LengthDelimited);
      read(reader.bytes());
    };
  }

  #text(read: (value: string) => void): Field {
    return (reader, wire) => {
      this.#expect(wire, WireType.LengthDelimited);
      read(reader.string());
    };
  }

  #integer(read: (value: number) => void): Field {
    return (reader, wire) => {
      this.#expect(wire, WireType.Varint);
      read(Number(reader.int64()));
    };
  }

  /** Reads numbers that are stored one by one or packed. */
  #repeated(single: WireType, read: (reader: BinaryReader) => void): Field {
    return (reader, wire) => {
      if (wire !== WireType.LengthDelimited) {
        this.#expect(wire, single);
        read(reader);
        return;
      }
      const packed = new BinaryReader(reader.bytes());
      while (packed.pos < packed.len) read(packed);
      if (packed.pos > packed.len)
        this.#refuse('a number that ends inside its field, found one that ends after it');
    };
  }

  #bounded<T>(list: T[], value: T): void {
    if (list.length >= MAX_MEMBERS) this.#refuse(`at most ${MAX_MEMBERS} members of a list, found more`);
    if (++this.#members > MAX_ALL_MEMBERS)
      this.#refuse(`at most ${MAX_ALL_MEMBERS} inputs and outputs of nodes, found more`);
    list.push(value);
  }

  #expect(wire: WireType, expected: WireType): void {
    if (wire !== expected) this.#refuse(`a field of wire type ${expected}, found ${wire}`);
  }

  #refuse(expected: string): never {
    throw new CheckpointError('CHECKPOINT_FORMAT', `${this.#file}: not an ONNX model: expected ${expected}`);
  }
}

export function isStandard(domain: string): boolean {
  return domain === '' || domain === 'ai.onnx';
}

/** Refuses the graph because of a node. */
export function refuseNode(node: OnnxNode, message: string, code = 'CHECKPOINT_NETWORK'): never {
  throw new CheckpointError(code, `${node.file}: ${describeNode(node)}: ${message}`);
}

/** Names a node in a message. */
export function describeNode({ name, op, outputs }: OnnxNode): string {
  return `node ${quote(name || outputs[0] || '')} (${quote(op)})`;
}

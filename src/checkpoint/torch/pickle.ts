/**
 * An interpreter for the pickles that `torch.save` writes. It knows the binary opcodes of protocols
 * 2 to 5 that Python emits for dictionaries, lists, tuples, strings, numbers, tensors and the few
 * objects on the allow-list. https://github.com/python/cpython/blob/main/Lib/pickletools.py
 *
 * It builds maps, arrays and descriptions of tensors. It looks up nothing outside the allow-list
 * and calls nothing that a file names. It refuses all other opcodes, including those that only
 * protocols 0 and 1 emit.
 */

import { CheckpointError } from '../../errors.js';
import { quote } from '../../text/quote.js';
import {
  ALLOWED_GLOBALS,
  Global,
  INERT,
  Namespace,
  StoredTensor,
  TensorStorage,
  UnsupportedTensor,
} from './globals.js';

/** The result of reading a pickle. */
export interface Pickle {
  /**
   * `null`, a boolean, number, bigint or string, an array (for a list or tuple), a `Map` with the
   * string keys of a dictionary, or a value from `globals.ts`.
   */
  readonly value: unknown;
  /** Offset of the byte after the pickle. */
  readonly end: number;
  /** Every storage that the pickle names, by key. */
  readonly storages: ReadonlyMap<string, TensorStorage>;
}

/**
 * More opcodes than the checkpoint of any model has: ViT-B has 4,690, and 14,279 with averaged
 * weights and its optimiser. An opcode makes at most one value, so this bounds time and memory for
 * any pickle: a million empty dictionaries take 0.5 s and 234 MB.
 */
const MAX_OPCODES = 1_000_000;

/** Longer integers are not sizes. The legacy magic number has 10 bytes and alone exceeds 2^53. */
const MAX_INTEGER_BYTES = 10;

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const LATIN1 = new TextDecoder('latin1');

const OP = {
  MARK: 0x28,
  EMPTY_TUPLE: 0x29,
  STOP: 0x2e,
  BINBYTES: 0x42,
  SHORT_BINBYTES: 0x43,
  BINFLOAT: 0x47,
  BININT: 0x4a,
  BININT1: 0x4b,
  BININT2: 0x4d,
  NONE: 0x4e,
  BINPERSID: 0x51,
  REDUCE: 0x52,
  SHORT_BINSTRING: 0x55,
  BINUNICODE: 0x58,
  EMPTY_LIST: 0x5d,
  APPEND: 0x61,
  BUILD: 0x62,
  GLOBAL: 0x63,
  APPENDS: 0x65,
  BINGET: 0x68,
  LONG_BINGET: 0x6a,
  BINPUT: 0x71,
  LONG_BINPUT: 0x72,
  SETITEM: 0x73,
  TUPLE: 0x74,
  SETITEMS: 0x75,
  EMPTY_DICT: 0x7d,
  PROTO: 0x80,
  NEWOBJ: 0x81,
  TUPLE1: 0x85,
  TUPLE2: 0x86,
  TUPLE3: 0x87,
  NEWTRUE: 0x88,
  NEWFALSE: 0x89,
  LONG1: 0x8a,
  SHORT_BINUNICODE: 0x8c,
  EMPTY_SET: 0x8f,
  ADDITEMS: 0x90,
  FROZENSET: 0x91,
  STACK_GLOBAL: 0x93,
  MEMOIZE: 0x94,
  FRAME: 0x95,
} as const;

/**
 * Reads the pickle that starts at `start`.
 *
 * @param place the file name, and the entry in it, for messages
 * @throws CheckpointError `CHECKPOINT_GLOBAL` for a global outside the allow-list, before any
 *   tensor is built; `CHECKPOINT_TRUNCATED` if the bytes end first; `CHECKPOINT_PICKLE` for
 *   anything else that `torch.save` does not write
 */
export function readPickle(bytes: Uint8Array, start: number, place: string): Pickle {
  return new PickleMachine(bytes, start, place).run();
}

class PickleMachine {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #place: string;
  readonly #storages = new Map<string, TensorStorage>();
  readonly #stack: unknown[] = [];
  /** Stack heights at the open marks. */
  readonly #marks: number[] = [];
  readonly #memo: unknown[] = [];
  #at: number;
  /** Offset of the current opcode. */
  #opcodeAt: number;

  constructor(bytes: Uint8Array, start: number, place: string) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#place = place;
    this.#at = start;
    this.#opcodeAt = start;
  }

  run(): Pickle {
    for (let opcodes = 0; opcodes < MAX_OPCODES; opcodes++) {
      this.#opcodeAt = this.#at;
      const opcode = this.#uint8();
      if (opcode === OP.STOP) {
        const value = this.#pop();
        if (this.#stack.length > 0) this.#refuse('expected one value at the end of the pickle, found more');
        return { value, end: this.#at, storages: this.#storages };
      }
      const value = this.#make(opcode);
      if (value === undefined) this.#act(opcode);
      else this.#stack.push(value);
    }
    return this.#refuse(`expected a pickle of at most ${MAX_OPCODES} opcodes, found more`);
  }

  /** The value that an opcode pushes, or `undefined` if it does something else. */
  #make(opcode: number): unknown {
    switch (opcode) {
      case OP.NONE:
        return null;
      case OP.NEWTRUE:
        return true;
      case OP.NEWFALSE:
        return false;
      case OP.BININT1:
        return this.#uint8();
      case OP.BININT2:
        return this.#view.getUint16(this.#skip(2), true);
      case OP.BININT:
        return this.#view.getInt32(this.#skip(4), true);
      case OP.LONG1:
        return this.#integer(this.#uint8());
      case OP.BINFLOAT:
        return this.#view.getFloat64(this.#skip(8), false);
      case OP.BINUNICODE:
        return this.#text(this.#uint32());
      case OP.SHORT_BINUNICODE:
        return this.#text(this.#uint8());
      case OP.SHORT_BINSTRING:
        // A Python 2 string; the strings that are used are ASCII.
        return this.#text(this.#uint8(), LATIN1);
      case OP.BINBYTES:
        this.#skip(this.#uint32());
        return INERT;
      case OP.SHORT_BINBYTES:
        this.#skip(this.#uint8());
        return INERT;

      case OP.EMPTY_TUPLE:
      case OP.EMPTY_LIST:
        return [];
      case OP.TUPLE:
        return this.#popMarked();
      case OP.TUPLE1:
        return [this.#pop()];
      case OP.TUPLE2:
        return [this.#pop(), this.#pop()].reverse();
      case OP.TUPLE3:
        return [this.#pop(), this.#pop(), this.#pop()].reverse();
      case OP.EMPTY_DICT:
        return new Map();
      case OP.EMPTY_SET:
        return INERT;
      case OP.FROZENSET:
        this.#popMarked();
        return INERT;

      case OP.BINGET:
        return this.#recall(this.#uint8());
      case OP.LONG_BINGET:
        return this.#recall(this.#uint32());
      case OP.GLOBAL:
        return this.#global(this.#line(), this.#line());
      case OP.STACK_GLOBAL: {
        const [name, module] = [this.#pop(), this.#pop()];
        if (typeof module === 'string' && typeof name === 'string') return this.#global(module, name);
        return this.#refuse('expected a global named by two strings');
      }
      case OP.REDUCE:
      case OP.NEWOBJ: {
        const [args, global] = [this.#pop(), this.#pop()];
        return this.#call(global, args);
      }
      case OP.BINPERSID:
        return this.#storage(this.#pop());
      default:
        return undefined;
    }
  }

  #act(opcode: number): void {
    switch (opcode) {
      case OP.PROTO: {
        const protocol = this.#uint8();
        if (protocol < 2 || protocol > 5) this.#refuse(`expected protocol 2 to 5, found ${protocol}`);
        break;
      }
      case OP.FRAME:
        // The length of a frame is only a hint for buffering.
        this.#skip(8);
        break;
      case OP.MARK:
        this.#marks.push(this.#stack.length);
        break;
      case OP.APPEND:
        this.#append([this.#pop()]);
        break;
      case OP.APPENDS:
        this.#append(this.#popMarked());
        break;
      case OP.SETITEM:
        this.#setItems([this.#pop(), this.#pop()].reverse());
        break;
      case OP.SETITEMS:
        this.#setItems(this.#popMarked());
        break;
      case OP.ADDITEMS:
        this.#popMarked();
        if (this.#top() !== INERT) this.#refuse('expected a set to add items to');
        break;
      case OP.BUILD:
        this.#setState(this.#pop());
        break;
      case OP.BINPUT:
        this.#memoise(this.#uint8());
        break;
      case OP.LONG_BINPUT:
        this.#memoise(this.#uint32());
        break;
      case OP.MEMOIZE:
        this.#memoise(this.#memo.length);
        break;
      default: {
        const found = opcode.toString(16).padStart(2, '0');
        this.#refuse(`expected an opcode that torch.save writes, found 0x${found}`);
      }
    }
  }

  #pop(): unknown {
    if (this.#stack.length <= (this.#marks.at(-1) ?? 0)) this.#refuse('expected a value on the stack');
    return this.#stack.pop();
  }

  /** All values above the last mark. */
  #popMarked(): unknown[] {
    const mark = this.#marks.pop() ?? this.#refuse('expected a mark on the stack');
    return this.#stack.splice(mark);
  }

  #top(): unknown {
    if (this.#stack.length <= (this.#marks.at(-1) ?? 0)) this.#refuse('expected a value on the stack');
    return this.#stack.at(-1);
  }

  #append(items: readonly unknown[]): void {
    const list = this.#top();
    if (!Array.isArray(list)) this.#refuse('expected a list to append to');
    else for (const item of items) list.push(item);
  }

  /**
   * Keeps only string keys: other keys are never looked up, and numbers could be chosen to collide.
   */
  #setItems(items: readonly unknown[]): void {
    const map = this.#top();
    if (!(map instanceof Map)) this.#refuse('expected a dictionary to set items in');
    else if (items.length % 2 !== 0) this.#refuse('expected a value for every key');
    else {
      for (let i = 0; i < items.length; i += 2) {
        if (typeof items[i] === 'string') map.set(items[i], items[i + 1]);
      }
    }
  }

  #memoise(index: number): void {
    if (index >= MAX_OPCODES)
      this.#refuse(`expected a memo of at most ${MAX_OPCODES} values, found ${index}`);
    this.#memo[index] = this.#top();
  }

  #recall(index: number): unknown {
    if (!(index in this.#memo)) this.#refuse(`expected a value in the memo at ${index}`);
    return this.#memo[index];
  }

  #global(module: string, name: string): Global {
    const qualified = `${module}.${name}`;
    const global = ALLOWED_GLOBALS.get(qualified);
    if (global) return global;
    throw new CheckpointError(
      'CHECKPOINT_GLOBAL',
      `${this.#place}: expected a pickle with globals on the allow-list, found ${quote(qualified)} at byte ` +
        `${this.#opcodeAt}; save only the weights, with torch.save(model.state_dict(), path)`,
    );
  }

  #call(global: unknown, args: unknown): unknown {
    if (!(global instanceof Global) || !Array.isArray(args)) {
      return this.#refuse('expected a global with its arguments in a tuple');
    }
    return global.call(args) ?? this.#refuse(`expected other arguments for ${global.name}`);
  }

  /** The state of an object is its attributes; only those of a namespace are used. */
  #setState(state: unknown): void {
    const target = this.#top();
    const takes =
      target === INERT ||
      target instanceof Namespace ||
      target instanceof Map ||
      target instanceof StoredTensor ||
      target instanceof UnsupportedTensor;
    if (!takes) this.#refuse('expected an object that takes a state');
    if (target instanceof Namespace && state instanceof Map) target.attributes = state;
  }

  /** `('storage', class, key, location, count)`; PyTorch before 0.4 also wrote a view. */
  #storage(id: unknown): TensorStorage {
    const [kind, type, key, , count, view = null] = Array.isArray(id) ? id : [];
    const element = type instanceof Global ? type.element : undefined;
    const sound = kind === 'storage' && typeof key === 'string' && isCount(count) && view === null;
    if (!element || !sound) return this.#refuse('expected a storage with a class, a key and a size');
    const known = this.#storages.get(key);
    if (known) {
      if (known.element === element && known.count === count) return known;
      return this.#refuse(
        `storage ${quote(key)}: expected ${known.count} of ${known.element.name} as before`,
      );
    }
    const storage = new TensorStorage(key, element, count);
    this.#storages.set(key, storage);
    return storage;
  }

  /** Skips `length` bytes, which must exist, and returns their offset. */
  #skip(length: number): number {
    const at = this.#at;
    if (length > this.#bytes.length - at) {
      throw new CheckpointError(
        'CHECKPOINT_TRUNCATED',
        `${this.#place}: the pickle ends too early: expected ${length} bytes at byte ${at}, ` +
          `found only ${this.#bytes.length - at}`,
      );
    }
    this.#at += length;
    return at;
  }

  #uint8(): number {
    return this.#bytes[this.#skip(1)]!;
  }

  #uint32(): number {
    return this.#view.getUint32(this.#skip(4), true);
  }

  /** Two's complement, little-endian. */
  #integer(length: number): unknown {
    const at = this.#skip(length);
    if (length > MAX_INTEGER_BYTES) return INERT;
    let value = 0n;
    for (let i = length - 1; i >= 0; i--) value = (value << 8n) | BigInt(this.#bytes[at + i]!);
    value = BigInt.asIntN(8 * length, value);
    return BigInt.asIntN(54, value) === value ? Number(value) : value;
  }

  #text(length: number, decoder = UTF8): string {
    const at = this.#skip(length);
    try {
      return decoder.decode(this.#bytes.subarray(at, at + length));
    } catch {
      return this.#refuse('expected a string in UTF-8');
    }
  }

  /** The text up to the next line feed. */
  #line(): string {
    const end = this.#bytes.indexOf(0x0a, this.#at);
    const line = this.#text((end < 0 ? this.#bytes.length : end) - this.#at);
    this.#skip(1);
    return line;
  }

  #refuse(message: string): never {
    throw new CheckpointError(
      'CHECKPOINT_PICKLE',
      `${this.#place}: pickle at byte ${this.#opcodeAt}: ${message}`,
    );
  }
}

/** Whether a value is a size or an offset: a non-negative integer that is exact as a double. */
export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

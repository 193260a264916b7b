import { RuntimeError } from '../errors.js';
import type { RowSink } from './types.js';

/** Loads the compiled decoders from files, with fetch or by static imports. */
export interface CodecModules {
  /** `wasm/jpeg.wasm` */
  jpeg(): Promise<WebAssembly.Module>;
  /** `wasm/webp.wasm` */
  webp(): Promise<WebAssembly.Module>;
}

/** The decoders, which any number of calls can share. */
export interface ImageCodecs {
  jpeg: Codec;
  webp: Codec;
}

/** The report of a decoder after it has delivered all rows. */
export interface Decoded {
  /** The first warning of libjpeg, or an empty string. */
  warning: string;
  /** Bytes of decoder memory left to the garbage collector; 0 if the decoder is kept. */
  left: number;
}

/** A decoder failed. `detail` is its error message, or that of the engine. */
export class CodecFailure extends Error {
  override name = 'CodecFailure';
  constructor(
    readonly detail: string,
    options?: ErrorOptions,
  ) {
    super(detail, options);
  }

  /** Whether the decoder lacked memory; otherwise the bytes are at fault. */
  get outOfMemory(): boolean {
    return /^(out of memory|insufficient memory)/i.test(this.detail);
  }
}

/** The exports of codecs/jpeg.c and codecs/webp.c. */
interface CodecExports {
  alloc(length: number): number;
  free(pointer: number): void;
  decode(pointer: number, length: number, width: number, height: number): number | undefined;
  /** The address of the warning whose length `decode` returned. */
  warning?(): number;
  /** major · 1,000,000 + minor · 1,000 + patch of the compiled library. */
  version(): number;
}

const PAGE = 2 ** 16;
/** The initial memory with which scripts/build-codecs.mjs links the modules. */
const INITIAL_BYTES = 2 ** 20;
/** Linear memory never shrinks, so an instance with more memory is not kept. */
const KEEP_BYTES = 16 * 2 ** 20;

/** A decoder and its memory. After an exception its state is unknown, so it is not used again. */
class Instance {
  readonly #memory: WebAssembly.Memory;
  readonly #exports: CodecExports;
  #sink: RowSink = () => {};
  /** Bytes of the image that the decoder has not delivered yet. */
  #missing = 0;

  constructor(
    module: WebAssembly.Module,
    readonly maxBytes: number,
  ) {
    this.#memory = new WebAssembly.Memory({ initial: INITIAL_BYTES / PAGE, maximum: maxBytes / PAGE });
    const fail = (at: number, length: number) => {
      throw new CodecFailure(this.#text(at, length));
    };
    const emit = (at: number, length: number) => {
      const rows = this.#view(at, length);
      this.#missing -= rows.length;
      if (this.#missing < 0) throw new CodecFailure('more pixels than the header says');
      this.#sink(rows);
    };
    const imports = { env: { memory: this.#memory, fail, emit } };
    this.#exports = new WebAssembly.Instance(module, imports).exports as unknown as CodecExports;
  }

  get bytes(): number {
    return this.#memory.buffer.byteLength;
  }

  get version(): number {
    return this.#exports.version();
  }

  /** @returns the first warning, or an empty string */
  decode(bytes: Uint8Array, width: number, height: number, sink: RowSink): string {
    this.#sink = sink;
    this.#missing = width * height * 3;
    const input = this.#exports.alloc(bytes.length);
    this.#view(input, bytes.length).set(bytes);
    const warned = this.#exports.decode(input, bytes.length, width, height) ?? 0;
    if (this.#missing > 0) throw new CodecFailure('fewer pixels than the header says');
    this.#exports.free(input);
    this.#sink = () => {};
    return warned === 0 ? '' : this.#text(this.#exports.warning!(), warned);
  }

  #view(at: number, length: number): Uint8Array {
    return new Uint8Array(this.#memory.buffer, at >>> 0, length >>> 0);
  }

  #text(at: number, length: number): string {
    return String.fromCharCode(...this.#view(at, length));
  }
}

/**
 * A WebAssembly decoder, compiled on first use. The instance is kept for the next image only if it
 * is small and the last image decoded cleanly: after an error, a warning or a trap, its state is
 * unknown. A new instance takes about 0.1 ms.
 */
export class Codec {
  readonly #load: () => Promise<WebAssembly.Module>;
  #module: Promise<WebAssembly.Module> | undefined;
  #kept: Instance | undefined;

  constructor(load: () => Promise<WebAssembly.Module>) {
    this.#load = load;
  }

  /**
   * Decodes one file. Concurrent calls are safe.
   *
   * @param width from the header of the file; the decoder fails if it reads another size
   * @param maxBytes memory that the decoder may use, including the file; at least 16 MiB are
   *   granted
   * @throws {CodecFailure} if the decoder refuses the bytes
   * @throws {RuntimeError} `CODEC_MISSING` if the decoder cannot be loaded
   */
  async decode(
    bytes: Uint8Array,
    width: number,
    height: number,
    maxBytes: number,
    sink: RowSink,
  ): Promise<Decoded> {
    const module = await this.compiled();
    // There is no await from here on, so calls cannot interleave.
    const instance = this.#take(module, Math.max(KEEP_BYTES, Math.ceil(maxBytes / PAGE) * PAGE));
    const warning = orFailure(() => instance.decode(bytes, width, height, sink));
    if (warning === '' && instance.maxBytes === KEEP_BYTES) this.#kept = instance;
    return { warning, left: this.#kept === instance ? 0 : instance.bytes };
  }

  /** The version of the compiled library, such as `3.1.3`. */
  async version(): Promise<string> {
    const { version } = this.#take(await this.compiled(), KEEP_BYTES);
    return `${Math.floor(version / 1e6)}.${Math.floor(version / 1e3) % 1e3}.${version % 1e3}`;
  }

  #take(module: WebAssembly.Module, maxBytes: number): Instance {
    const kept = this.#kept;
    this.#kept = undefined;
    if (kept?.maxBytes === maxBytes) return kept;
    return orFailure(() => new Instance(module, maxBytes), OUT_OF_MEMORY);
  }

  /** @throws {RuntimeError} `CODEC_MISSING` */
  compiled(): Promise<WebAssembly.Module> {
    this.#module ??= this.#load().catch((cause) => {
      this.#module = undefined;
      const message = `image decoder: cannot load its WebAssembly module: ${describe(cause)}`;
      throw new RuntimeError('CODEC_MISSING', message, { cause });
    });
    return this.#module;
  }
}

/** Creates the decoders from the platform's modules. Nothing is loaded before the first image. */
export function createImageCodecs(modules: CodecModules): ImageCodecs {
  return { jpeg: new Codec(() => modules.jpeg()), webp: new Codec(() => modules.webp()) };
}

const OUT_OF_MEMORY = 'out of memory';

/** Converts the engine's own errors, thrown when memory is exhausted or a decoder traps. */
function orFailure<T>(work: () => T, detail?: string): T {
  try {
    return work();
  } catch (cause) {
    if (cause instanceof CodecFailure) throw cause;
    throw new CodecFailure(detail ?? describe(cause), { cause });
  }
}

function describe(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

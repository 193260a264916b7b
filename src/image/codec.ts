import { RuntimeError } from '../errors.js';
import type { RowSink } from './types.js';

/** Gives the compiled decoders; how depends on the platform (files, fetch, static imports). */
export interface CodecModules {
  /** `wasm/jpeg.wasm` */
  jpeg(): Promise<WebAssembly.Module>;
  /** `wasm/webp.wasm` */
  webp(): Promise<WebAssembly.Module>;
}

/** One decoder each; they can be shared by any number of calls. */
export interface ImageCodecs {
  jpeg: Codec;
  webp: Codec;
}

/** What a decoder has to say about a file whose rows it has given. */
export interface Decoded {
  /** The first warning of libjpeg; empty if there was none. */
  warning: string;
  /** Bytes of its memory, if it is not kept. */
  left: number;
}

/** A decoder that gave up. `detail` is what it said last, or how it died. */
export class CodecFailure extends Error {
  override name = 'CodecFailure';
  constructor(
    readonly detail: string,
    options?: ErrorOptions,
  ) {
    super(detail, options);
  }

  /** Whether the picture needs more memory than it may take or the machine has; else its bytes are at fault. */
  get outOfMemory(): boolean {
    return /^(out of memory|insufficient memory)/i.test(this.detail);
  }
}

/** What codecs/jpeg.c and codecs/webp.c export. */
interface CodecExports {
  alloc(length: number): number;
  free(pointer: number): void;
  decode(pointer: number, length: number, width: number, height: number): number | undefined;
  /** Where the warning stands whose length `decode` has given. */
  warning?(): number;
  /** major · 1,000,000 + minor · 1,000 + patch of the library inside. */
  version(): number;
}

const PAGE = 2 ** 16;
/** What the modules are linked with: scripts/build-codecs.mjs. */
const INITIAL_BYTES = 2 ** 20;
/** Linear memory never shrinks: what a large picture has blown up is not kept. */
const KEEP_BYTES = 16 * 2 ** 20;

/** A decoder and its memory. After anything has been thrown, nobody knows the state of either: it is not used again. */
class Instance {
  readonly #memory: WebAssembly.Memory;
  readonly #exports: CodecExports;
  #sink: RowSink = () => {};
  /** Bytes of the picture that are still to come. */
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
      if (this.#missing < 0) throw new CodecFailure('more comes out than the picture has');
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

  /** Gives the first warning, empty if there was none. */
  decode(bytes: Uint8Array, width: number, height: number, sink: RowSink): string {
    this.#sink = sink;
    this.#missing = width * height * 3;
    const input = this.#exports.alloc(bytes.length);
    this.#view(input, bytes.length).set(bytes);
    const warned = this.#exports.decode(input, bytes.length, width, height) ?? 0;
    if (this.#missing > 0) throw new CodecFailure('the picture is incomplete');
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
 * A WebAssembly decoder that is compiled on first use. Its instance is kept for the next picture only if it is small and had nothing
 * to say against the last one: a refusal, a warning or a trap leaves it in a state that nobody knows. A new one takes some 0.1 ms.
 */
export class Codec {
  readonly #load: () => Promise<WebAssembly.Module>;
  #module: Promise<WebAssembly.Module> | undefined;
  #kept: Instance | undefined;

  constructor(load: () => Promise<WebAssembly.Module>) {
    this.#load = load;
  }

  /**
   * Decodes one file. Safe to call again before an earlier call has ended.
   *
   * @param width as the file's header says; the decoder fails where it reads another size
   * @param maxBytes of memory that the decoder may take for the file and its own work; 16 MiB are always granted
   * @throws {CodecFailure} if the decoder refuses the bytes; {@link RuntimeError} `CODEC_MISSING` if there is none
   */
  async decode(
    bytes: Uint8Array,
    width: number,
    height: number,
    maxBytes: number,
    sink: RowSink,
  ): Promise<Decoded> {
    const module = await this.compiled();
    // Nothing is awaited from here on, so no other call can come between.
    const instance = this.#take(module, Math.max(KEEP_BYTES, Math.ceil(maxBytes / PAGE) * PAGE));
    const warning = orFailure(() => instance.decode(bytes, width, height, sink));
    if (warning === '' && instance.maxBytes === KEEP_BYTES) this.#kept = instance;
    return { warning, left: this.#kept === instance ? 0 : instance.bytes };
  }

  /** The version of the library inside, as its sources say: `3.1.3`. */
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
      const message = `image decoder: cannot be loaded: ${describe(cause)}`;
      throw new RuntimeError('CODEC_MISSING', message, { cause });
    });
    return this.#module;
  }
}

/** The decoders over compiled modules that the platform provides. Nothing is loaded before the first picture. */
export function createImageCodecs(modules: CodecModules): ImageCodecs {
  return { jpeg: new Codec(() => modules.jpeg()), webp: new Codec(() => modules.webp()) };
}

const OUT_OF_MEMORY = 'out of memory';

/** Engines throw errors of their own: for memory that there is not, and when a decoder traps. */
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

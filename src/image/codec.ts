import { RuntimeError } from '../errors.js';

/** Gives the compiled decoders; how depends on the platform (files, fetch, static imports). */
export interface CodecModules {
  /** `@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm` */
  jpeg(): Promise<WebAssembly.Module>;
  /** `@jsquash/webp/codec/dec/webp_dec.wasm` */
  webp(): Promise<WebAssembly.Module>;
}

/** One decoder each; they can be shared by any number of calls. */
export interface ImageCodecs {
  jpeg: Codec;
  webp: Codec;
}

/** RGBA pixels as a decoder gives them, and what it had to say about the file. */
export interface Decoded {
  width: number;
  height: number;
  /** `[height, width, 4]`. */
  data: Uint8ClampedArray;
  /** Lines that the decoder printed: libjpeg prints the first warning of a file. */
  warnings: string[];
}

/** A decoder that threw or gave nothing. `detail` is what it printed last, or how it died. */
export class CodecFailure extends Error {
  override name = 'CodecFailure';
  constructor(
    readonly detail: string,
    options?: ErrorOptions,
  ) {
    super(detail, options);
  }
}

/** The parts of an Emscripten module that are used here. */
interface EmscriptenModule {
  decode(
    bytes: Uint8Array,
    ...rest: unknown[]
  ): { width: number; height: number; data: Uint8ClampedArray } | null;
  HEAPU8: Uint8Array;
}
type EmscriptenFactory = (options: object) => Promise<EmscriptenModule>;

/** Linear memory never shrinks: an instance that a large picture has blown up is not kept. */
const KEEP_BYTES = 64 * 2 ** 20;

/**
 * A WebAssembly decoder that is instantiated on first use and thrown away when it throws: what such a call had
 * allocated is never freed, and after some 300 of them the instance would die. A new one takes 3 ms.
 */
export class Codec {
  readonly #factory: () => Promise<{ default: unknown }>;
  readonly #module: () => Promise<WebAssembly.Module>;
  #compiled: Promise<WebAssembly.Module> | undefined;
  #starting: Promise<void> | undefined;
  #instance: EmscriptenModule | undefined;
  #printed: string[] = [];

  constructor(factory: () => Promise<{ default: unknown }>, module: () => Promise<WebAssembly.Module>) {
    this.#factory = factory;
    this.#module = module;
  }

  /**
   * Decodes one file. Safe to call again before an earlier call has ended.
   *
   * @param options further arguments of the codec's own `decode`
   * @throws {CodecFailure} if the decoder refuses the bytes; {@link RuntimeError} `CODEC_MISSING` if there is none
   */
  async decode(bytes: Uint8Array, ...options: unknown[]): Promise<Decoded> {
    while (this.#instance === undefined) {
      this.#starting ??= this.#start().finally(() => {
        this.#starting = undefined;
      });
      await this.#starting;
    }
    // Nothing is awaited from here on, so no other call can come between.
    const instance = this.#instance;
    this.#instance = undefined;
    this.#printed = [];
    let image: ReturnType<EmscriptenModule['decode']>;
    try {
      image = instance.decode(bytes, ...options);
    } catch (cause) {
      throw new CodecFailure(this.#printed.at(-1) ?? describe(cause), { cause });
    }
    if (instance.HEAPU8.length <= KEEP_BYTES) this.#instance = instance;
    if (image === null) throw new CodecFailure('no picture came out');
    return { width: image.width, height: image.height, data: image.data, warnings: this.#printed };
  }

  async #start(): Promise<void> {
    try {
      this.#compiled ??= this.#module();
      const [{ default: factory }, module] = await Promise.all([this.#factory(), this.#compiled]);
      const print = (line: string) => this.#printed.push(line);
      this.#instance = await (factory as EmscriptenFactory)({
        noInitialRun: true,
        print,
        printErr: print,
        instantiateWasm(imports: WebAssembly.Imports, receive: (instance: WebAssembly.Instance) => void) {
          const instance = new WebAssembly.Instance(module, imports);
          receive(instance);
          return instance.exports;
        },
      });
    } catch (cause) {
      this.#compiled = undefined;
      throw new RuntimeError('CODEC_MISSING', `image decoder: cannot be loaded: ${describe(cause)}`, {
        cause,
      });
    }
  }
}

/** The decoders over compiled modules that the platform provides. Nothing is loaded before the first picture. */
export function createImageCodecs(modules: CodecModules): ImageCodecs {
  return {
    jpeg: new Codec(
      () => import('@jsquash/jpeg/codec/dec/mozjpeg_dec.js'),
      () => modules.jpeg(),
    ),
    webp: new Codec(
      () => import('@jsquash/webp/codec/dec/webp_dec.js'),
      () => modules.webp(),
    ),
  };
}

/** Emscripten throws numbers (C++ exceptions) and objects that are no errors (`ExitStatus`). */
function describe(thrown: unknown): string {
  if (typeof thrown === 'number') return 'the decoder ran out of memory';
  const message = (thrown as { message?: unknown } | undefined)?.message;
  return typeof message === 'string' ? message : String(thrown);
}

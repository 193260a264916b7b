import { Z_BUF_ERROR, Z_NO_FLUSH, Z_OK, Z_STREAM_END, ZStream, zlibInflate, zlibInflateInit } from 'pako';

/** Bytes of output at once, at most. */
const BUFFER = 1 << 16;

/** The data is no zlib stream; the message says why. */
export class InflateError extends Error {
  override name = 'InflateError';
}

/**
 * A zlib stream (RFC 1950) read as far as `limit` bytes of output and no further.
 *
 * pako, a port of zlib, is asked for exactly that much, as Pillow and libpng ask zlib for pixels: what is beyond the limit is never
 * looked at, input that ends early is no error in itself, and the checksum counts where the stream ends at the limit or before.
 * fflate can do none of this: it does not stop at a byte and does not check Adler-32.
 */
export class Inflater {
  readonly #stream = new ZStream();
  readonly #out = new Uint8Array(BUFFER);
  #limit: number;

  /** @param limit bytes of output, at most */
  constructor(input: Uint8Array, limit: number) {
    zlibInflateInit(this.#stream);
    this.#stream.input = input;
    this.#stream.avail_in = input.length;
    this.#stream.output = this.#out;
    this.#limit = limit;
  }

  /**
   * The next output, which is good until the next call; empty at the end of the stream, of the input or of what is asked for.
   *
   * @throws {InflateError} for what is no zlib stream, or a wrong checksum
   */
  next(): Uint8Array {
    const stream = this.#stream;
    stream.next_out = 0;
    stream.avail_out = Math.min(this.#limit, BUFFER);
    const status = zlibInflate(stream, Z_NO_FLUSH);
    // Z_BUF_ERROR: no input or no room is left.
    if (status !== Z_OK && status !== Z_STREAM_END && status !== Z_BUF_ERROR)
      throw new InflateError(stream.msg || 'a preset dictionary is needed');
    this.#limit -= stream.next_out;
    return this.#out.subarray(0, stream.next_out);
  }
}

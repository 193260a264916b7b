import { Z_BUF_ERROR, Z_NO_FLUSH, Z_OK, Z_STREAM_END, ZStream, zlibInflate, zlibInflateInit } from 'pako';

/** The most bytes of output at once. */
const BUFFER = 1 << 16;

/** The data is not a valid zlib stream; the message says why. */
export class InflateError extends Error {
  override name = 'InflateError';
}

/**
 * Inflates a zlib stream (RFC 1950) up to `limit` bytes of output.
 *
 * pako, a port of zlib, inflates exactly that much, as zlib does for Pillow and libpng: data after
 * the limit is never read, a premature end of the input is not an error by itself, and the checksum
 * counts if the stream ends at the limit or before. fflate cannot do this: it does not stop at a
 * given byte and does not check Adler-32.
 */
export class Inflater {
  readonly #stream = new ZStream();
  readonly #out = new Uint8Array(BUFFER);
  #limit: number;

  /** @param limit the most bytes of output */
  constructor(input: Uint8Array, limit: number) {
    zlibInflateInit(this.#stream);
    this.#stream.input = input;
    this.#stream.avail_in = input.length;
    this.#stream.output = this.#out;
    this.#limit = limit;
  }

  /**
   * The next output, valid until the next call; empty at the limit, or if the stream or input ends.
   *
   * @throws {InflateError} for an invalid stream or a wrong checksum
   */
  next(): Uint8Array {
    const stream = this.#stream;
    stream.next_out = 0;
    stream.avail_out = Math.min(this.#limit, BUFFER);
    const status = zlibInflate(stream, Z_NO_FLUSH);
    // Z_BUF_ERROR: no input or no space for output is left.
    if (status !== Z_OK && status !== Z_STREAM_END && status !== Z_BUF_ERROR)
      throw new InflateError(stream.msg || 'a preset dictionary is needed');
    this.#limit -= stream.next_out;
    return this.#out.subarray(0, stream.next_out);
  }
}

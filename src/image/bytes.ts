/** Big-endian 16-bit number at `at`. The caller has checked the bounds. */
export function be16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}

/** Big-endian unsigned 32-bit number at `at`. The caller has checked the bounds. */
export function be32(bytes: Uint8Array, at: number): number {
  return ((be16(bytes, at) << 16) | be16(bytes, at + 2)) >>> 0;
}

/** Little-endian 16-bit number at `at`. The caller has checked the bounds. */
export function le16(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8);
}

/** Little-endian unsigned 32-bit number at `at`. The caller has checked the bounds. */
export function le32(bytes: Uint8Array, at: number): number {
  return (le16(bytes, at) | (le16(bytes, at + 2) << 16)) >>> 0;
}

/** Whether the bytes at `at` are the Latin-1 `text`. */
export function hasText(bytes: Uint8Array, at: number, text: string): boolean {
  if (at + text.length > bytes.length) return false;
  for (let i = 0; i < text.length; i++) if (bytes[at + i] !== text.charCodeAt(i)) return false;
  return true;
}

/** `length` bytes as Latin-1 text, safe for messages: control characters become `?`. */
export function textAt(bytes: Uint8Array, at: number, length: number): string {
  let text = '';
  for (const byte of bytes.subarray(at, at + length))
    text += byte < 32 || byte > 126 ? '?' : String.fromCharCode(byte);
  return text;
}

/** Joins runs of bytes into at most `capacity` bytes. A single run is not copied. */
export class JoinedBytes {
  readonly #capacity: number;
  #first: Uint8Array | undefined;
  #all: Uint8Array | undefined;
  #length = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  add(run: Uint8Array): void {
    if (this.#first === undefined) this.#first = run;
    else {
      if (this.#all === undefined) {
        this.#all = new Uint8Array(this.#capacity);
        this.#all.set(this.#first);
      }
      this.#all.set(run, this.#length);
    }
    this.#length += run.length;
  }

  get bytes(): Uint8Array {
    return (this.#all ?? this.#first ?? new Uint8Array(0)).subarray(0, this.#length);
  }
}

/** Big-endian 16-bit number at `at`; the caller has checked that it lies inside. */
export function be16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}

/** Big-endian unsigned 32-bit number at `at`; the caller has checked that it lies inside. */
export function be32(bytes: Uint8Array, at: number): number {
  return ((be16(bytes, at) << 16) | be16(bytes, at + 2)) >>> 0;
}

/** Little-endian 16-bit number at `at`; the caller has checked that it lies inside. */
export function le16(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8);
}

/** Little-endian unsigned 32-bit number at `at`; the caller has checked that it lies inside. */
export function le32(bytes: Uint8Array, at: number): number {
  return (le16(bytes, at) | (le16(bytes, at + 2) << 16)) >>> 0;
}

/** Whether the Latin-1 `text` stands at `at`. */
export function hasText(bytes: Uint8Array, at: number, text: string): boolean {
  if (at + text.length > bytes.length) return false;
  for (let i = 0; i < text.length; i++) if (bytes[at + i] !== text.charCodeAt(i)) return false;
  return true;
}

/** `length` bytes as Latin-1 text; control characters become `?`, so that it can stand in a message. */
export function textAt(bytes: Uint8Array, at: number, length: number): string {
  let text = '';
  for (const byte of bytes.subarray(at, at + length))
    text += byte < 32 || byte > 126 ? '?' : String.fromCharCode(byte);
  return text;
}

/** Joins byte runs; a single run is not copied. Takes no more memory than the file, however many runs there are. */
export class Joined {
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

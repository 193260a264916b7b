import { RuntimeError } from '../errors.js';

const PAGE = 65536;

/**
 * Plans a linear memory: hands out addresses before the memory exists, so that it is allocated
 * once, at its full size. The first page stays unused, so that address 0 is never a buffer.
 */
export class MemoryPlan {
  #end = PAGE;

  /** Reserves `bytes`, 16-byte aligned, followed by 16 readable bytes. */
  reserve(bytes: number): number {
    const address = this.#end;
    this.#end += Math.ceil((bytes + 16) / 16) * 16;
    return address;
  }

  /** Planned size in bytes. */
  get bytes(): number {
    return Math.ceil(this.#end / PAGE) * PAGE;
  }

  /**
   * @param shared between threads
   * @throws RuntimeError `MEMORY` if the engine refuses that much
   */
  allocate(shared = false): WebAssembly.Memory {
    const pages = this.bytes / PAGE;
    try {
      return new WebAssembly.Memory({ initial: pages, maximum: pages, shared });
    } catch (cause) {
      throw new RuntimeError(
        'MEMORY',
        `the model needs ${this.bytes} bytes of WebAssembly memory, which this engine did not give`,
        { cause },
      );
    }
  }
}

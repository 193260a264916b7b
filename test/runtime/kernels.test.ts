import { describe, expect, jest, test } from '@jest/globals';
import { RuntimeError } from '../../src/errors.js';
import { instantiateKernels } from '../../src/runtime/kernels.js';
import { MemoryPlan } from '../../src/runtime/memory.js';
import { readWasm } from '../../src/runtime/wasm-node.js';
import { describeTiers, onTiers, readModule } from '../support/tiers.js';

const HEADER = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];

/** A module that exports functions without parameters under these names. */
function moduleOf(names: readonly string[]): Uint8Array<ArrayBuffer> {
  const section = (id: number, content: readonly number[]) => [id, ...leb(content.length), ...content];
  const exported = names.flatMap((name) => [name.length, ...Buffer.from(name), 0, 0]);
  return Uint8Array.from([
    ...HEADER,
    ...section(1, [1, 0x60, 0, 0]),
    ...section(3, [1, 0]),
    ...section(7, [...leb(names.length), ...exported]),
    ...section(10, [1, 2, 0, 0x0b]),
  ]);
}

function leb(n: number): number[] {
  return n < 128 ? [n] : [(n & 127) | 128, ...leb(n >> 7)];
}

const memory = () => new WebAssembly.Memory({ initial: 1, maximum: 1 });

async function refusal(wasm: unknown): Promise<string> {
  const error = await instantiateKernels(wasm as BufferSource, memory()).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(RuntimeError);
  expect((error as RuntimeError).code).toBe('WASM_MODULE');
  return (error as RuntimeError).message;
}

describeTiers(onTiers([{}]), 'the kernel module $tier', ({ tier }) => {
  test('loads from bytes, a buffer or a compiled module', async () => {
    const bytes = readModule(tier);
    expect(await readWasm(tier)).toEqual(bytes);
    for (const wasm of [bytes, bytes.buffer, new WebAssembly.Module(bytes)]) {
      const kernels = await instantiateKernels(wasm, memory());
      expect(kernels.linear).toBeInstanceOf(Function);
    }
  });
});

describe('a kernel module', () => {
  test.each([
    ['garbage', Uint8Array.of(1, 2, 3), /can compile, found CompileError/],
    ['nothing', new Uint8Array(0), /can compile, found CompileError/],
    ['a cut file', readModule('simd').subarray(0, 1000), /can compile, found CompileError/],
    ['a text', 'fqvit.simd.wasm', /can compile, found TypeError/],
    ['null', null, /can compile, found TypeError/],
    ['an empty module', Uint8Array.from(HEADER), /a module without pack_weights\/6, linear\/17/],
    ['the float module', readModule('float'), /a module without pack_weights\/6/],
    ['a module that imports something else', moduleWithImport(), /found TypeError.*"host"|host/],
  ])('%s is refused', async (_, wasm, message) => {
    expect(await refusal(wasm)).toMatch(message);
  });

  test('a module with the same names and other operands is refused', async () => {
    const names = Object.keys(await instantiateKernels(readModule('scalar'), memory()));
    const message = await refusal(moduleOf(names));
    expect(message).toContain('the integer kernels of this version');
    expect(message).toContain('linear/17');
  });
});

/** A module that wants a function `host.f`. */
function moduleWithImport(): Uint8Array<ArrayBuffer> {
  const name = [4, ...Buffer.from('host'), 1, ...Buffer.from('f'), 0, 0];
  return Uint8Array.from([...HEADER, 1, 4, 1, 0x60, 0, 0, 2, name.length + 1, 1, ...name]);
}

describe('memory', () => {
  test('reservations are aligned, at least 16 bytes apart, and after the first page', () => {
    const plan = new MemoryPlan();
    const addresses = [0, 1, 15, 16, 17, 100_000].map((bytes) => [plan.reserve(bytes), bytes] as const);
    let end = 65536;
    for (const [address, bytes] of addresses) {
      expect(address % 16).toBe(0);
      expect(address).toBeGreaterThanOrEqual(end);
      end = address + bytes + 16;
    }
    expect(plan.bytes).toBeGreaterThanOrEqual(end);
    const { buffer } = plan.allocate();
    expect(buffer.byteLength).toBe(plan.bytes);
  });

  test('refuses more than WebAssembly can address', () => {
    const plan = new MemoryPlan();
    plan.reserve(2 ** 40);
    expect(() => plan.allocate()).toThrow(RuntimeError);
    expect(() => plan.allocate()).toThrow(/the model needs 10995\d{8} bytes of WebAssembly memory/);
  });

  test('refuses what the engine cannot allocate', () => {
    const engine = jest.spyOn(WebAssembly, 'Memory').mockImplementation(() => {
      throw new RangeError('could not allocate memory');
    });
    const plan = new MemoryPlan();
    expect(() => plan.allocate()).toThrow(
      expect.objectContaining({ code: 'MEMORY', cause: expect.any(RangeError) }),
    );
    engine.mockRestore();
    expect(plan.allocate().buffer.byteLength).toBe(65536);
  });
});

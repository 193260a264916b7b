import { describe, expect, jest, test } from '@jest/globals';
import { RuntimeError } from '../../src/errors.js';
import { load } from '../../src/model/model.js';
import { isRelaxedFaster, relaxedFault } from '../../src/runtime/probe.js';
import { readWasm } from '../../src/runtime/wasm-node.js';
import { refusal } from '../support/refusal.js';
import { TIERS } from '../support/tiers.js';
import { RECIPE, tinyIntegerFile } from '../support/tiny-integer.js';

const narrow = tinyIntegerFile({}, { ...RECIPE, weightBits: 7 });
const wide = tinyIntegerFile();
const chosen = async (file: Uint8Array) => {
  const model = await load(file);
  model.dispose();
  return model.info.tier;
};

describe('without relaxed SIMD', () => {
  test('the tier is simd, and relaxed is refused by name', async () => {
    const probe = await readWasm('probe');
    const compile = compileOnly((bytes) => bytes.length !== probe.length);
    expect(await isRelaxedFaster()).toBe(false);
    expect(await chosen(narrow)).toBe('simd');
    const message = await refusal(load(narrow, { tier: 'relaxed' }), RuntimeError, 'TIER');
    expect(message).toMatch(/found one without them$/);
    compile.mockRestore();
  });

  test('without SIMD the tier is scalar', async () => {
    const scalar = await readWasm('scalar');
    const compile = compileOnly((bytes) => bytes.length === scalar.length);
    expect(await chosen(wide)).toBe('scalar');
    expect(await chosen(narrow)).toBe('scalar');
    compile.mockRestore();
  });
});

/** An engine that knows some modules only. */
function compileOnly(knows: (bytes: Uint8Array) => boolean) {
  const real = WebAssembly.compile;
  return jest.spyOn(WebAssembly, 'compile').mockImplementation(async (bytes) => {
    if (!knows(bytes as Uint8Array)) throw new WebAssembly.CompileError('no such instruction');
    return real(bytes);
  });
}

const describeWithRelaxed = TIERS.includes('relaxed') ? describe : describe.skip;

describeWithRelaxed('where the engine has relaxed SIMD', () => {
  test('known products are correct, and the choice is a correct tier', async () => {
    expect(await relaxedFault()).toBeUndefined();
    expect(['simd', 'relaxed']).toContain(await chosen(narrow));
    expect(await chosen(wide)).toBe('simd');
  });

  test('detects an engine with a wrong product', async () => {
    const real = WebAssembly.instantiate;
    const fake = jest.spyOn(WebAssembly, 'instantiate').mockImplementation((async (
      module: WebAssembly.Module,
      imports: { env: { memory: WebAssembly.Memory } },
    ) => {
      const instance = await real(module, imports);
      const { relaxed, ...exports } = instance.exports as Record<string, (...operands: number[]) => void>;
      const wrong = (a: number, w: number, k: number, out: number) => {
        relaxed!(a, w, k, out);
        new Int32Array(imports.env.memory.buffer)[out / 4 + 31]! += 1;
      };
      return { exports: { ...exports, relaxed: wrong } };
    }) as never);
    expect(await relaxedFault()).toBe('one that gets a known product wrong');
    expect(await isRelaxedFaster()).toBe(false);
    fake.mockRestore();
    expect(await relaxedFault()).toBeUndefined();
  });

  test('relaxed on request gives the same codes', async () => {
    const [a, b] = [await load(narrow, { tier: 'relaxed' }), await load(narrow, { tier: 'simd' })];
    const pixels = new Uint8Array(a.info.preprocessing.imageSize ** 2 * 3).map((_, i) => i * 37);
    expect(a.info.tier).toBe('relaxed');
    expect(a.codesOfPixels(pixels)).toEqual(b.codesOfPixels(pixels));
  });
});

import { describe, expect, test } from '@jest/globals';
import binaryen from 'binaryen';
import { readModule } from '../support/tiers.js';

function textOf(wasm: Uint8Array): string {
  const module = binaryen.readBinary(wasm);
  const text = module.emitText();
  module.dispose();
  return text;
}

/** The words of a module's text form: opcodes, types and numbers, without names and data. */
const words = (wasm: Uint8Array): string[] =>
  textOf(wasm)
    .replace(/"[^"]*"/g, '')
    .replace(/\$[^\s()]+/g, '')
    .match(/[^\s()]+/g)!;

/**
 * The imports of a module, read from its text: an engine that cannot compile it could not list
 * them.
 */
const imports = (wasm: Uint8Array) => textOf(wasm).match(/\(import .*/g) ?? [];
const MEMORY = [expect.stringMatching(/^\(import "env" "memory" \(memory /)];

/**
 * Opcodes and types of floats: f32.add, i32x4.trunc_sat_f32x4_s, f64x2.mul, (param f32), f16x8.abs.
 */
const floats = (wasm: Uint8Array) => words(wasm).filter((word) => /f(16|32|64)/.test(word));

const RELAXED_DOT = 'i16x8.relaxed_dot_i8x16_i7x16_s';
const OPCODES = {
  scalar: ['i64.mul', 'i64.shr_s', 'i32.load8_u', 'i64.div_u'],
  simd: [
    'i32x4.dot_i16x8_s',
    'i64x2.extmul_low_i32x4_s',
    'i8x16.narrow_i16x8_u',
    'i8x16.swizzle',
    'i64.div_u',
  ],
  relaxed: [RELAXED_DOT, 'i32x4.dot_i16x8_s', 'i32x4.extadd_pairwise_i16x8_s'],
  'simd-threads': ['i32x4.dot_i16x8_s', 'memory.atomic.wait32'],
  'relaxed-threads': [RELAXED_DOT, 'memory.atomic.wait32'],
  probe: [RELAXED_DOT, 'i32x4.dot_i16x8_s'],
} as const;

describe.each(Object.keys(OPCODES) as (keyof typeof OPCODES)[])('the %s module', (name) => {
  const wasm = readModule(name);

  test('has no instruction and no type of floating point', () => {
    expect(floats(wasm)).toEqual([]);
  });

  test('contains the opcodes that it is built for', () => {
    expect(words(wasm)).toEqual(expect.arrayContaining([...OPCODES[name]]));
  });

  test('imports its memory and nothing else', () => {
    expect(imports(wasm)).toEqual(MEMORY);
  });
});

test.each(['simd', 'simd-threads'] as const)('the %s module has no relaxed instruction', (name) => {
  expect(words(readModule(name)).filter((word) => word.includes('relaxed'))).toEqual([]);
});

test('the scalar module runs without SIMD', () => {
  expect(words(readModule('scalar')).filter((word) => /v128|x16|x8|x4|x2/.test(word))).toEqual([]);
});

describe('the float module, for contrast', () => {
  const wasm = readModule('float');

  test('contains floating point, so that this test would find it in the integer modules', () => {
    const found = new Set(floats(wasm));
    for (const word of ['f32', 'f64', 'f32.max', 'f32x4.mul', 'f64.promote_f32'])
      expect(found).toContain(word);
  });

  test('imports its memory and nothing else', () => {
    expect(imports(wasm)).toEqual(MEMORY);
  });
});

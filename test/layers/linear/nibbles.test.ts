import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { packedLength, packNibbles, unpackNibbles } from '../../../src/layers/linear/nibbles.js';

test('stores an even input in the low nibble, the next input in the high nibble, and code 0 as 8', () => {
  expect(packNibbles(Int8Array.of(-8, 7, 0, 1), 4)).toEqual(Uint8Array.of(0xf0, 0x98));
  expect(unpackNibbles(Uint8Array.of(0xf0, 0x98), 4)).toEqual(Int8Array.of(-8, 7, 0, 1));
});

test('starts every row with a new byte and pads an odd number of inputs with code 0', () => {
  const codes = Int8Array.of(-8, 7, 1, 2, -3, 4);
  expect(packNibbles(codes, 3)).toEqual(Uint8Array.of(0xf0, 0x89, 0x5a, 0x8c));
  expect(unpackNibbles(packNibbles(codes, 3), 3)).toEqual(codes);
});

test('unpacks what it packed', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 9 }),
      fc.integer({ min: 1, max: 9 }),
      fc.gen(),
      (out, inputs, g) => {
        const codes = Int8Array.from({ length: out * inputs }, () => g(fc.integer, { min: -8, max: 7 }));
        const packed = packNibbles(codes, inputs);
        expect(packed).toHaveLength(out * packedLength(inputs));
        expect(unpackNibbles(packed, inputs)).toEqual(codes);
      },
    ),
  );
});

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { INERT, Namespace } from '../../../src/checkpoint/torch/globals.js';
import { readPickle } from '../../../src/checkpoint/torch/pickle.js';
import { CheckpointError } from '../../../src/errors.js';
import { refusal } from '../raw-file.js';
import { bytesOf, dictionary, global, int, pickled, tensor, text, tuple, u32, u64 } from './raw-torch.js';

function unpickled(...opcodes: Parameters<typeof pickled>): unknown {
  return readPickle(pickled(...opcodes), 0, 'model.pth').value;
}

const ORDERED_DICT = global('collections', 'OrderedDict');
const NAMESPACE = global('argparse', 'Namespace');

describe('readPickle', () => {
  const trained = Object.assign(new Namespace(), { attributes: new Map([['lr', 1]]) });
  const cases: [what: string, opcodes: Uint8Array, value: unknown][] = [
    ['None', bytesOf('N'), null],
    ['True', bytesOf(0x88), true],
    ['False', bytesOf(0x89), false],
    ['BININT', bytesOf('J', [0xfe, 0xff, 0xff, 0xff]), -2],
    ['BININT1', bytesOf('K', 255), 255],
    ['BININT2', bytesOf('M', [0xff, 0xff]), 65535],
    ['LONG1 without bytes', bytesOf(0x8a, 0), 0],
    ['negative LONG1', bytesOf(0x8a, 1, 0xff), -1],
    ['LONG1 of 2^53 - 1', bytesOf(0x8a, 7, [255, 255, 255, 255, 255, 255, 0x1f]), 2 ** 53 - 1],
    ['LONG1 of 2^53', bytesOf(0x8a, 7, [0, 0, 0, 0, 0, 0, 0x20]), 2n ** 53n],
    ['LONG1 of 11 bytes', bytesOf(0x8a, 11, Array(11).fill(1)), INERT],
    ['BINFLOAT', bytesOf('G', [0xbf, 0xe0, 0, 0, 0, 0, 0, 0]), -0.5],
    ['BINUNICODE', bytesOf('X', u32(2), [0xc3, 0xa9]), 'é'],
    ['SHORT_BINUNICODE', bytesOf(0x8c, 2, [0xc3, 0xa9]), 'é'],
    ['SHORT_BINSTRING', bytesOf('U', 2, 'ab'), 'ab'],
    ['a byte order mark', bytesOf(0x8c, 3, [0xef, 0xbb, 0xbf]), '\ufeff'],
    ['BINBYTES', bytesOf('B', u32(2), 'ab'), INERT],
    ['SHORT_BINBYTES', bytesOf('C', 2, 'ab'), INERT],
    ['tuples', bytesOf('K', 1, 'K', 2, 'K', 3, 0x87, ')', 0x86, 0x85), [[[1, 2, 3], []]]],
    ['TUPLE', bytesOf('(', 'K', 1, 'K', 2, 't'), [1, 2]],
    ['APPEND', bytesOf(']', 'K', 1, 'a', 'K', 2, 'a'), [1, 2]],
    ['APPENDS', bytesOf(']', '(', 'K', 1, 'K', 2, 'e'), [1, 2]],
    ['SETITEM', bytesOf('}', text('a'), 'N', 's'), new Map([['a', null]])],
    [
      'SETITEMS',
      dictionary({ a: int(1), b: int(2) }),
      new Map([
        ['a', 1],
        ['b', 2],
      ]),
    ],
    ['a duplicate key', bytesOf('}(', text('a'), int(1), text('a'), int(2), 'u'), new Map([['a', 2]])],
    [
      'keys of other types',
      bytesOf('}(', int(1), int(2), 'N', 'N', text('a'), int(3), 'u'),
      new Map([['a', 3]]),
    ],
    ['__proto__ as a key', dictionary({ ['__proto__']: bytesOf('}') }), new Map([['__proto__', new Map()]])],
    ['a set', bytesOf(0x8f, '(', 'K', 1, 0x90), INERT],
    ['a frozen set', bytesOf('(', 'K', 1, 0x91), INERT],
    ['a frame', bytesOf(0x95, u64(1), 'N'), null],
    ['BINPUT', bytesOf(']', 'q', 0), []],
    ['BINGET', bytesOf('K', 7, 'q', 0, 'h', 0, 0x86), [7, 7]],
    ['LONG_BINGET', bytesOf('K', 7, 'r', u32(999_999), 'j', u32(999_999), 0x86), [7, 7]],
    ['None in the memo', bytesOf('N', 'q', 0, 'h', 0, 0x86), [null, null]],
    ['MEMOIZE', bytesOf('K', 7, 0x94, 'K', 8, 0x94, 'h', 0, 0x87), [7, 8, 7]],
    ['OrderedDict', bytesOf(ORDERED_DICT, ')', 'R', text('a'), 'N', 's'), new Map([['a', null]])],
    ['CfgNode', bytesOf(global('yacs.config', 'CfgNode'), ')', 0x81, '}', 'b'), new Map()],
    [
      'defaultdict',
      bytesOf(global('collections', 'defaultdict'), tuple(global('__builtin__', 'list')), 'R'),
      new Map(),
    ],
    ['Namespace', bytesOf(NAMESPACE, ')', 0x81, dictionary({ lr: int(1) }), 'b'), trained],
    ['STACK_GLOBAL', bytesOf(text('torch'), text('Size'), 0x93, tuple(tuple(int(1))), 'R'), INERT],
  ];
  test.each(cases)('reads %s', (_what, opcodes, value) => {
    expect(unpickled(opcodes)).toEqual(value);
  });

  test('reads a list that contains itself', () => {
    const list = unpickled(']', 'q', 0, 'h', 0, 'a') as unknown[];
    expect(list[0]).toBe(list);
  });

  test('does not assign a state to its object', () => {
    const map = unpickled('}', dictionary({ ['__proto__']: bytesOf('}'), set: int(1), size: int(1) }), 'b');
    expect(Object.getOwnPropertyNames(map)).toEqual([]);
    expect(Object.getPrototypeOf(map)).toBe(Map.prototype);
  });

  test('returns the end of the pickle and its storages', () => {
    const bytes = bytesOf('before', pickled(tensor({ key: 'k', count: 3 })), 'after');
    const { end, storages } = readPickle(bytes, 6, 'model.pth');
    expect(end).toBe(bytes.length - 5);
    expect([...storages.values()]).toMatchObject([
      { key: 'k', count: 3, element: { name: 'float32', bytes: 4 } },
    ]);
  });
});

describe('a global outside the allow-list is refused', () => {
  const names: [module: string, name: string][] = [
    ['os', 'system'],
    ['posix', 'system'],
    ['builtins', 'eval'],
    ['__builtin__', 'getattr'],
    ['builtins', '__import__'],
    ['torch', 'load'],
    ['torch.hub', 'load'],
    ['numpy', 'load'],
    ['collections', 'namedtuple'],
    ['', '__proto__'],
    ['constructor', 'prototype'],
    ['torch._utils', '_rebuild_tensor_v22'],
  ];
  test.each(names)('%s %s', (module, name) => {
    const call = bytesOf(tuple(text('rm -rf /')), 'R');
    const ways = [
      bytesOf('K', 1, global(module, name), call),
      bytesOf('K', 1, text(module), text(name), 0x93, call),
    ];
    const offsets = [4, 4 + text(module).length + text(name).length];
    ways.forEach((opcodes, i) => {
      const error = refusal(() => unpickled(opcodes));
      expect(error.code).toBe('CHECKPOINT_GLOBAL');
      expect(error.message).toContain('model.pth: expected a pickle with globals on the allow-list');
      expect(error.message).toContain(`found "${module}.${name}" at byte ${offsets[i]}`);
    });
  });

  test('even if it is not used', () => {
    expect(refusal(() => unpickled('}', global('os', 'system'), 'q', 0, '.')).code).toBe('CHECKPOINT_GLOBAL');
  });

  test('with a short name without control characters in the message', () => {
    const { message } = refusal(() => unpickled(global('os', `\u001b[2J${'x'.repeat(10_000)}`)));
    expect(message).not.toMatch(/\p{C}/u);
    expect(message.length).toBeLessThan(400);
  });
});

describe('a pickle that torch.save does not write is refused', () => {
  const cases: [what: string, opcodes: Uint8Array, says: string][] = [
    ['protocol 1', bytesOf(0x80, 1, 'N'), 'expected protocol 2 to 5, found 1'],
    ['protocol 6', bytesOf(0x80, 6, 'N'), 'expected protocol 2 to 5, found 6'],
    [
      'an unknown opcode',
      bytesOf(0xff),
      'pickle at byte 2: expected an opcode that torch.save writes, found 0xff',
    ],
    ['a text opcode', bytesOf('I1\n'), 'found 0x49'],
    ['INST', bytesOf('(ios\nsystem\n'), 'found 0x69'],
    ['OBJ', bytesOf('(', NAMESPACE, 'o'), 'found 0x6f'],
    ['DICT', bytesOf('(', text('a'), 'Nd'), 'found 0x64'],
    ['EXT1', bytesOf(0x82, 1), 'found 0x82'],
    ['NEXT_BUFFER', bytesOf(0x97), 'found 0x97'],
    ['an empty stack', bytesOf(''), 'expected a value on the stack'],
    ['two values', bytesOf('NN'), 'expected one value at the end'],
    ['an open mark', bytesOf('N('), 'expected a value on the stack'],
    ['no mark', bytesOf('Nt'), 'expected a mark'],
    ['a pop below a mark', bytesOf('N(', 0x85), 'expected a value on the stack'],
    ['an empty memo', bytesOf('h', 0), 'expected a value in the memo at 0'],
    [
      'a memo by the name of a method',
      bytesOf('j', u32(4_294_967_295)),
      'expected a value in the memo at 4294967295',
    ],
    ['a memo of 2^32', bytesOf('N', 'r', u32(4_294_967_295)), 'a memo of at most 1000000'],
    ['an append to a number', bytesOf('K', 1, 'K', 1, 'a'), 'expected a list to append to'],
    ['an append to a dictionary', bytesOf('}', '(', 'K', 1, 'e'), 'expected a list to append to'],
    ['an item in a list', bytesOf(']', text('a'), 'N', 's'), 'expected a dictionary'],
    ['an item in bytes', bytesOf('C', 1, 'a', text('a'), 'N', 's'), 'expected a dictionary'],
    ['an item in a global', bytesOf(ORDERED_DICT, text('a'), 'N', 's'), 'expected a dictionary'],
    ['a key without a value', bytesOf('}', '(', text('a'), 'u'), 'expected a value for every key'],
    ['a set item in a list', bytesOf(']', '(', 0x90), 'expected a set'],
    ['a state for a global', bytesOf(ORDERED_DICT, '}', 'b'), 'expected an object that takes a state'],
    ['a state for a list', bytesOf(']', '}', 'b'), 'expected an object that takes a state'],
    ['a call of a number', bytesOf('K', 1, ')', 'R'), 'expected a global with its arguments'],
    ['a call of a string', bytesOf(text('eval'), ')', 'R'), 'expected a global with its arguments'],
    ['a call without a tuple', bytesOf(ORDERED_DICT, 'N', 'R'), 'expected a global with its arguments'],
    [
      'a call of a storage class',
      bytesOf(global('torch', 'FloatStorage'), ')', 'R'),
      'other arguments for torch.FloatStorage',
    ],
    [
      'a call of a dtype',
      bytesOf(global('torch', 'float32'), ')', 0x81),
      'other arguments for torch.float32',
    ],
    [
      'a parameter of nothing',
      bytesOf(global('torch._utils', '_rebuild_parameter'), ')', 'R'),
      'other arguments',
    ],
    [
      'entries as an argument',
      bytesOf(ORDERED_DICT, tuple(bytesOf(']')), 'R'),
      'other arguments for collections.OrderedDict',
    ],
    ['a global named by a number', bytesOf('K', 1, text('a'), 0x93), 'named by two strings'],
    ['a string that is not UTF-8', bytesOf(0x8c, 1, 0xff), 'expected a string in UTF-8'],
    [
      'a string with half a surrogate pair',
      bytesOf(0x8c, 3, [0xed, 0xa0, 0x80]),
      'expected a string in UTF-8',
    ],
    ['a persistent id that is not a tuple', bytesOf('N', 'Q'), 'expected a storage'],
    [
      'a persistent id of a module',
      bytesOf(tuple(text('module'), ORDERED_DICT, text('a'), 'N', 'N'), 'Q'),
      'expected a storage',
    ],
    [
      'a storage that is a view',
      bytesOf(
        tuple(text('storage'), global('torch', 'FloatStorage'), text('0'), text('cpu'), int(1), tuple()),
        'Q',
      ),
      'expected a storage',
    ],
    ['a storage of another class', tensor({ type: NAMESPACE }), 'expected a storage with a class'],
    ['a storage without a class', tensor({ type: text('FloatStorage') }), 'expected a storage with a class'],
    ['a storage of negative size', tensor({ count: -1 }), 'expected a storage with a class'],
    [
      'a storage of two sizes',
      bytesOf(tensor(), tensor({ count: 2 }), 0x86),
      'storage "0": expected 1 of float32 as before',
    ],
    [
      'a storage of two types',
      bytesOf(tensor(), tensor({ type: global('torch', 'IntStorage') }), 0x86),
      'storage "0"',
    ],
  ];
  test.each(cases)('%s', (_what, opcodes, says) => {
    const error = refusal(() => unpickled(opcodes));
    expect(error.code).toBe('CHECKPOINT_PICKLE');
    expect(error.message).toMatch(/^model\.pth: pickle at byte \d+: /);
    expect(error.message).toContain(says);
  });

  const short: [what: string, opcodes: Uint8Array, says: string][] = [
    ['the opcodes', bytesOf('N'), 'expected 1 bytes at byte 1, found only 0'],
    [
      'a long string',
      bytesOf('X', u32(2 ** 32 - 1), 'ab'),
      'expected 4294967295 bytes at byte 5, found only 2',
    ],
    ['long bytes', bytesOf('B', u32(2 ** 32 - 5), 'ab'), 'expected 4294967291 bytes at byte 5, found only 2'],
    ['a long integer', bytesOf(0x8a, 255, 1), 'expected 255 bytes at byte 2, found only 1'],
    ['a number', bytesOf('J', 1), 'expected 4 bytes at byte 1, found only 1'],
    ['a global without a line feed', bytesOf('ctorch'), 'expected 1 bytes at byte 6, found only 0'],
  ];
  test.each(short)('truncated in %s', (_what, bytes, says) => {
    const error = refusal(() => readPickle(bytes, 0, 'model.pth'));
    expect(error.code).toBe('CHECKPOINT_TRUNCATED');
    expect(error.message).toContain(says);
  });
});

describe('a pickle bomb', () => {
  /** A pickle that repeats one opcode 2,000,000 times. */
  const many = (opcode: string) => pickled(opcode.repeat(2_000_000));

  test.each(['}', ']', '(', ')', 'N'])('with too many opcodes is refused: %s', (opcode) => {
    const bytes = many(opcode);
    const error = refusal(() => readPickle(bytes, 0, 'model.pth'), 20_000);
    expect(error.code).toBe('CHECKPOINT_PICKLE');
    expect(error.message).toContain('a pickle of at most 1000000 opcodes');
  });

  test('with lists nested 400,000 deep or doubled 1,000 times by the memo is read quickly', () => {
    const deep = pickled(']'.repeat(400_000), 'a'.repeat(399_999));
    expect(readPickle(deep, 0, 'model.pth').value).toHaveLength(1);
    const doubled = pickled(']', ...Array.from({ length: 1000 }, () => bytesOf('q', 0, 'h', 0, 0x86)));
    expect(readPickle(doubled, 0, 'model.pth').value).toHaveLength(2);
  });

  test('with 400,000 items at once is read', () => {
    expect(unpickled(']', '(', 'N'.repeat(400_000), 'e')).toHaveLength(400_000);
  });
});

test('reads or refuses any opcodes, and throws nothing else', () => {
  const opcode = fc.oneof(
    fc.constantFrom(
      ...'()]}NaesutbRQq.h'.split(''),
      ...[0x81, 0x85, 0x86, 0x87, 0x8f, 0x90, 0x91, 0x93, 0x94],
    ),
    fc.constantFrom(ORDERED_DICT, NAMESPACE, text('a'), int(1), tensor(), global('torch', 'FloatStorage')),
    fc.nat(255),
  );
  let values = 0;
  fc.assert(
    fc.property(fc.array(opcode, { maxLength: 30 }), (opcodes) => {
      try {
        unpickled(...opcodes);
        values++;
      } catch (error) {
        if (!(error instanceof CheckpointError)) throw error;
        expect(error.code).toMatch(/^CHECKPOINT_(PICKLE|GLOBAL|TRUNCATED)$/);
      }
    }),
    { numRuns: 5000 },
  );
  expect(values).toBeGreaterThan(20);
});

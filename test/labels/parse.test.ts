import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { FqvitError } from '../../src/errors.js';
import { parseLabels } from '../../src/quantize/index.js';
import { describeWithShared, shared } from '../support/shared.js';

const FLOWERS = { labels: ['daisy', 'rose', 'tulip'] };
const FISH = { labels: ['tench', 'goldfish'], wnids: ['n01440764', 'n01443537'] };

describe('one name a line', () => {
  test.each([
    ['as it is', 'daisy\nrose\ntulip'],
    ['Windows line ends, blank lines at the end', 'daisy\r\nrose\r\ntulip\r\n\r\n'],
    ['line ends of old Macs', 'daisy\rrose\rtulip\r'],
    ['a byte order mark', '\ufeffdaisy\nrose\ntulip'],
    ['comments', '# flowers\ndaisy\nrose\n#\ntulip'],
    ['quotes', '"daisy"\n"rose"\n"tulip"'],
    ['lines of code', "'daisy',\n'rose',\n'tulip',"],
    ['lines of code with both quotes', "'daisy',\n\"rose\",\n'tulip',"],
    ['commas at line ends', 'daisy,\nrose,\ntulip'],
  ])('%s', (_, text) => {
    expect(parseLabels(text)).toEqual(FLOWERS);
  });

  test.each([
    ['numbers that are no indices', ['3 of clubs', '4 of clubs']],
    ['numbers at the end', ['iPhone 4', 'iPhone 5']],
    ['numbers that only count', ['class 0', 'class 1', 'class 2']],
    ['numbers that mean something', ['1 star', '2 stars', '3 stars', '4 stars', '5 stars']],
    ['some with a number', ['747 jet', 'car', 'bus']],
    ['synonyms', ['tench, Tinca tinca', 'goldfish, Carassius auratus']],
    ['names of folders', ['001.Black_footed_Albatross', '002.Laysan_Albatross', '003.Sooty_Albatross']],
    ['a hash sign', ['#hashtag', 'c']],
    ['digits', ['0', '1', '2']],
    ['angle brackets', ['<background>', 'cat']],
  ])('%s stay as they are', (_, labels) => {
    expect(parseLabels(labels.join('\n'))).toEqual({ labels });
  });

  test.each([
    ['nothing', '', /^labels:1: expected a name, found an empty line$/],
    ['a blank line', 'a\n\nb', /^labels:2: expected a name, found an empty line$/],
    ['columns', 'cat\tanimal\nrose\tplant', /^labels:1: expected one name, found columns/],
    ['YAML', 'path: data\nnames:\n  0: person', /^labels:2: expected a label, found code or YAML, "names:"/],
    ['YAML on a line', "names: ['a', 'b']", /found code or YAML/],
    ['a list of YAML', '- a\n- b', /found a list of YAML or Markdown/],
    [
      'a label map of TensorFlow',
      "item {\n  id: 1\n  name: 'a'\n}",
      /^labels:1: .*found code or YAML, "item \{"/,
    ],
    ['a page', '<!DOCTYPE html>\n<html>', /found HTML or XML/],
    [
      'a pointer of LFS',
      'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3',
      /pointer of Git LFS/,
    ],
    ['bytes', 'a\nb\0', /^labels:2: expected text, found a NUL character$/],
    ['numbers in brackets', '(0) cat\n(1) dog\n(2) cow', /found numbered lines, "\(0\) cat"/],
    [
      'a WordNet id after the name',
      'tench,n01440764\ngoldfish,n01443537',
      /^labels:1: expected the WordNet id before/,
    ],
    ['numbers in quotes', '"0","cat"\n"1","dog"', /found numbered lines/],
    ['quotes with escapes', String.raw`'a',${'\n'}'it\'s',${'\n'}'c'`, /found names in quotes, "'a'"/],
    ['numbered words', 'class 0: cat\nclass 1: dog\nclass 2: cow', /found numbered lines/],
    [
      'numbers of pandas',
      '0.0,cat\n1.0,dog',
      /^labels:1: expected an index in digits, or names, found other numbers/,
    ],
    [
      'an index below 0',
      '-1,none\n0,cat',
      /^labels:1: expected an index in digits, or names, found other numbers/,
    ],
    [
      'a WordNet id of two classes',
      'n01440764 tench\nn01440764 goldfish',
      /^labels: expected every WordNet id once, found n01440764 again, for class 1$/,
    ],
    ['an endless line', `a\n${'b'.repeat(3000)}`, /^labels:2: expected lines of at most 2000 characters/],
    [
      'a table of hundreds of columns',
      `id,name${',x'.repeat(200)}\n0,cat${',y'.repeat(200)}`,
      /^labels:1: expected at most 100 columns, found 202$/,
    ],
    [
      'a list without end',
      `[${'"a",'.repeat(140_000)}]`,
      /^labels:1: expected at most 131072 members, found/,
    ],
    [
      'a dict without end',
      `{${Array.from({ length: 140_000 }, (_, i) => `${i}:"a"`)}}`,
      /^labels:1: expected at most 131072 members, found/,
    ],
    ['lines without end', 'a\n'.repeat(300_000), /expected at most 131072 lines, found more/],
  ])('%s is refused', (_, text, message) => {
    expectRefusal(text, message);
  });
});

describe('an index in every line', () => {
  test.each([
    ['0:daisy\n1:rose\n2:tulip'],
    ['0: daisy\n1: rose\n2: tulip\n'],
    ['0\tdaisy\n1\trose\n2\ttulip'],
    ['0,daisy\n1,rose\n2,tulip'],
    ['0;daisy\n1;rose\n2;tulip'],
    ['0 daisy\n1 rose\n2 tulip'],
    ['0. daisy\n1. rose\n2. tulip'],
    ['0) daisy\n1) rose\n2) tulip'],
    ['0 | daisy\n1 | rose\n2 | tulip'],
    ['0 - daisy\n1 - rose\n2 - tulip'],
    ['0=daisy\n1=rose\n2=tulip'],
    ['0 -> daisy\n1 -> rose\n2 -> tulip'],
    ['000 daisy\n001 rose\n002 tulip'],
    ['2:tulip\n0:daisy\n1:rose'],
    ["0: 'daisy',\n1: 'rose',\n2: 'tulip',"],
    ['# flowers\n0:daisy\n1:rose\n2:tulip'],
    ['daisy\t0\nrose\t1\ntulip\t2'],
    ['tulip,2\ndaisy,0\nrose,1'],
    ['daisy: 0\nrose: 1\ntulip: 2'],
    ['daisy 0\nrose 1\ntulip 2'],
    ['index,label\n0,daisy\n1,rose\n2,tulip'],
    ['label,index\ndaisy,0\nrose,1\ntulip,2'],
    ['Class_ID;Class_Name;photos\n0;daisy;7\n1;rose;8\n2;tulip;9'],
    [',name\n0,daisy\n1,rose\n2,tulip'],
    ['ClassId,Class Name\n0,daisy\n1,rose\n2,tulip'],
    ['"index","label"\n"0","daisy"\n"1","rose"\n"2","tulip"'],
    ['id\tname\n2\ttulip\n1\trose\n0\tdaisy'],
  ])('%j', (text) => {
    expect(parseLabels(text)).toEqual(FLOWERS);
  });

  test('names with commas, in quotes or not', () => {
    const labels = ['tench, Tinca tinca', 'the "great" white'];
    expect(parseLabels('0:tench, Tinca tinca\n1:the "great" white')).toEqual({ labels });
    expect(parseLabels('0,"tench, Tinca tinca"\n1,"the ""great"" white"')).toEqual({ labels });
    expect(parseLabels('id,name\n0,"tench, Tinca tinca"\n1,"the ""great"" white"')).toEqual({ labels });
  });

  test.each([
    ['a gap', '0:a\n1:b\n3:c', /every index from 0 to 2 once, found 3 in line 3/],
    ['a gap after spaces', '0 a\n1 b\n3 c', /every index from 0 to 2 once, found 3 in line 3/],
    ['an index twice', '0\ta\n1\tb\n1\tc', /every index from 0 to 2 once, found 1 in line 3/],
    [
      'from one',
      '1:a\n2:b',
      /every index from 0 to 1 once, found 1 to 2: .* in the order of the model's classes/,
    ],
    ['from one after spaces', '1 001.Crow\n2 002.Jay', /every index from 0 to 1 once, found 1 to 2/],
    ['negative', '-1:a\n0:b\n1:c', /^labels:1: expected an index as in the other lines, found "-1:a"/],
    ['a line without', '0:a\nb\n2:c', /^labels:2: expected an index as in the other lines, found "b"/],
    ['a line without a name', '0:a\n1:\n2:c', /^labels:2: expected an index as in the other lines/],
    ['an unknown header', 'Nummer,Klasse\n0,a\n1,b', /^labels:1: expected an index as in the other lines/],
    ['aspect ratios', '4:3\n16:9', /if these are names, write them as a JSON list/],
    ['two indices', '0:1\n1:0', /expected one index in every line, found two/],
    ['a number or a count', '1 star\n2 stars\n3 stars', /found lines that can be read as both, "1 star"/],
    ['a third column of numbers', '0,a,5\n1,b,6', /found more columns, "0,a,5"/],
    ['a third column of words', '0,a,x\n1,b,x', /found more columns, "0,a,x"/],
    ['a third column after tabs', '0\ta\tx\n1\tb\tx', /found columns/],
    ['a header without an index', 'name,count\na,5\nb,6', /expected a column with the index of the class/],
    ['a row that is short', 'id,name,x\n0,a,1\n1,b', /^labels:3: expected 3 columns, found 2/],
    ['a table of photos', 'file,class\na.png,0', /^labels:2: expected one index and one name/],
    ['an error of a server', '404: Not Found', /every index from 0 to 0 once, found 404/],
  ])('%s is refused', (_, text, message) => {
    expectRefusal(text, message);
  });
});

describe('WordNet ids', () => {
  test.each([
    ['n01440764 tench\nn01443537 goldfish'],
    ['n01440764\ttench\nn01443537\tgoldfish'],
    ['n01440764,tench\nn01443537,goldfish'],
    ['n01440764: tench\nn01443537: goldfish'],
    ['n01440764_tench\nn01443537_goldfish'],
    ['n01440764-tench\nn01443537-goldfish'],
    ['0 n01440764 tench\n1 n01443537 goldfish'],
    ['0,n01440764,tench\n1,n01443537,goldfish'],
    ['wnid,label,index\nn01440764,tench,0\nn01443537,goldfish,1'],
    ['{"0": ["n01440764", "tench"], "1": ["n01443537", "goldfish"]}'],
    ['[["n01440764", "tench"], ["n01443537", "goldfish"]]'],
    ["{0: ('n01440764', 'tench'), 1: ('n01443537', 'goldfish')}"],
    ['{"n01440764": "tench", "n01443537": "goldfish"}'],
    [
      '[{"index": 1, "wnid": "n01443537", "label": "goldfish"}, {"index": 0, "wnid": "n01440764", "label": "tench"}]',
    ],
    [
      "{0: {'id': '01440764-n', 'label': 'tench', 'uri': 'x'}, 1: {'id': '01443537-n', 'label': 'goldfish', 'uri': 'y'}}",
    ],
    [
      '{"label_names": ["n01440764", "n01443537"], "label_descriptions": {"n01443537": "goldfish", "n01440764": "tench"}}',
    ],
  ])('beside names: %j', (text) => {
    expect(parseLabels(text)).toEqual(FISH);
  });

  test.each([
    ['n01440764\nn01443537'],
    ['["n01440764", "n01443537"]'],
    ['n01440764\t0\nn01443537\t1'],
    ['{"n01440764": 0, "n01443537": 1}'],
    [
      '{"architecture": "vit_tiny_patch16_224", "pretrained_cfg": {"label_names": ["n01440764", "n01443537"]}}',
    ],
  ])('alone they are the names: %j', (text) => {
    expect(parseLabels(text)).toEqual({ labels: FISH.wnids });
  });

  test.each([
    [
      'some',
      'n01440764 tench\ngoldfish',
      /a WordNet id before every name or before none, found "goldfish" for class 1/,
    ],
    [
      'some without a name',
      'n01440764 tench\nn01443537',
      /expected a name after every WordNet id, found none after n01443537/,
    ],
    [
      'in no order in an object',
      '{"n01443537": "b", "n01440764": "a"}',
      /or the ids in ascending order, found n01440764 after n01443537/,
    ],
    [
      'of the development kit',
      'n02119789 1 kit_fox\nn02100735 2 setter\nn02110185 3 husky',
      /found numbered lines, "n02119789 1 kit_fox"/,
    ],
    ['with another column', 'n01440764\tfish\ttench\nn01443537\tfish\tgoldfish', /found columns/],
  ])('%s are refused', (_, text, message) => {
    expectRefusal(text, message);
  });
});

describe('JSON and Python', () => {
  test.each([
    ['["daisy", "rose", "tulip"]'],
    ["['daisy', 'rose', 'tulip',]"],
    ["('daisy', 'rose', 'tulip')"],
    ["{0: 'daisy', 1: 'rose', 2: 'tulip'}"],
    ['{0: "daisy",  # a comment\n 1: "rose",\n 2: u"tulip",\n}'],
    ['{"2": "tulip", "0": "daisy", "1": "rose"}'],
    ['{"daisy": 0, "rose": 1, "tulip": 2}'],
    ['{"daisy": "0", "rose": "1", "tulip": "2"}'],
    ['[{"id": 2, "name": "tulip"}, {"id": 0, "name": "daisy"}, {"id": 1, "name": "rose"}]'],
    ['{"id2label": {"0": "daisy", "1": "rose", "2": "tulip"}, "label2id": {"x": 0}, "model_type": "vit"}'],
    ['{"label2id": {"daisy": 0, "rose": 1, "tulip": 2}, "model_type": "vit"}'],
    ['{"names": ["daisy", "rose", "tulip"], "nc": 3}'],
    ['{"label_names": ["a", "b", "c"], "label_descriptions": {"a": "daisy", "b": "rose", "c": "tulip"}}'],
    ['{"num_classes": 3, "pretrained_cfg": {"label_names": ["daisy", "rose", "tulip"]}}'],
    ["# classes\nCLASSES: list[str] = [\n    'daisy',\n    'rose',\n    'tulip',\n]\n"],
    ["/** Classes. */\nexport const CLASSES = {\n  0: 'daisy', // first\n  1: 'rose',\n  2: 'tulip'\n};\n"],
    ['\ufeff\r\n["daisy",\r\n"rose", "tulip"]\r\n'],
  ])('%j', (text) => {
    expect(parseLabels(text)).toEqual(FLOWERS);
  });

  test('escapes and quotes', () => {
    const text = String.raw`['it\'s', "it's", "a \"b\"", 'caf\xe9', "caf\u00e9", "\ud83d\ude00", '\U0001F600', "a\/b", 'c\\d']`;
    expect(parseLabels(text).labels).toEqual([
      ...["it's", "it's", 'a "b"', 'café', 'café', '😀', '😀', 'a/b', 'c\\d'],
    ]);
  });

  test('every list of names is read back', () => {
    // an object whose names are all numbers could also give indices by name: it is refused
    const names = fc.array(
      fc.string({ minLength: 1, maxLength: 20 }).filter((s) => s.trim() !== '' && !/^n\d{8}|^\d+$/.test(s)),
      {
        minLength: 1,
        maxLength: 20,
      },
    );
    fc.assert(
      fc.property(names, (labels) => {
        expect(parseLabels(JSON.stringify(labels))).toEqual({ labels });
        expect(parseLabels(JSON.stringify({ ...labels }))).toEqual({ labels });
      }),
    );
  });

  test.each([
    ['an empty list', '[]', /^labels: expected labels, found none$/],
    ['an empty object', '{}', /^labels: expected labels, found none$/],
    ['broken', '["a",\n"b"', /^labels:2: expected "," or "\]", found the end of the file$/],
    ['two texts without a comma', "['a',\n 'b' 'c']", /^labels:2: expected "," or "\]", found "'c'\]"$/],
    ['a set', "{'a', 'b'}", /expected ":" after the key "a"/],
    ['a text without an end', '["a\n"]', /^labels:1: expected '"' at the end of the text/],
    ['an escape by name', String.raw`['\N{BULLET}']`, /expected an escape of JSON or Python/],
    ['a call', '[print("a")]', /expected a value, found "print/],
    ['two values', '{0: "a"}\n{1: "b"}', /^labels:2: expected the end of the file/],
    ['too deep', '['.repeat(1e5), /expected at most 32 levels/],
    ['a key twice', '{"0": "a",\n "0": "b"}', /^labels:2: expected every key once, found "0" again$/],
    ['a key as text and as number', "{0: 'a', '0': 'b'}", /expected every key once, found "0" again/],
    ['an index twice', '{"0": "a", "00": "b"}', /every index from 0 to 1 once, found the key "00"/],
    ['a gap', '{"0": "a", "2": "b"}', /every index from 0 to 1 once, found the key "2"/],
    ['a negative index', '{-1: "a", 0: "b"}', /expected an index from 0 as every key, found "-1"/],
    [
      'an index that is no integer',
      '{0: "a", 1.5: "b"}',
      /expected an index from 0 as every key, found "1.5"/,
    ],
    [
      'keys from one, as names of folders are',
      '{"1": "pink primrose", "2": "orchid"}',
      /every index from 0 to 1 once, found 1 to 2/,
    ],
    ['an index by name twice', '{"a": 0, "b": 0}', /every index from 0 to 1 once, found 0 under "b"/],
    ['numbers by number', '{"0": 3, "1": 4}', /names by index or indices by name, found numbers by number/],
    ['a number', '["a", 2]', /expected strings, or objects with an index and a name, found 2 at position 1/],
    ['null', '[null]', /found null at position 0/],
    [
      'objects without an index',
      '[{"name": "a"}]',
      /an index and a name, found \{"name":"a"\} at position 0/,
    ],
    ['two names', '[{"id": 0, "name": "a", "title": "b"}]', /an index and a name, found/],
    ['two indices', '[{"id": 0, "index": 1, "name": "a"}]', /an index and a name, found/],
    [
      'an index beside another',
      '{"0": {"id": 1, "name": "a"}}',
      /expected index 0 in the object under it, found 1/,
    ],
    ['an index too high', '[{"index": 1, "label": "a"}]', /every index from 0 to 0 once, found 1/],
    [
      'labels of two kinds',
      '{"labels": ["a"], "classes": ["b"]}',
      /expected classes with the labels of labels, found others/,
    ],
    ['a config without labels', '{"model_type": "vit"}', /found an object with "model_type"$/],
    ['an empty name', '["a", " "]', /^labels: expected a name, found none for class 1$/],
    ['a name without end', `["${'a'.repeat(2000)}"]`, /expected names of at most 1000 characters/],
    ['synonyms as a list', '{"0": ["tench", "Tinca tinca"]}', /expected a name, or a WordNet id and a name/],
  ])('%s is refused', (_, text, message) => {
    expectRefusal(text, message);
  });
});

test('a dict of Python that is widely shared, by the name of its file', () => {
  const text = readFileSync(new URL('yrevar.txt', import.meta.url), 'utf8');
  expect(parseLabels(text).labels).toEqual([
    'tench, Tinca tinca',
    'goldfish, Carassius auratus',
    'great white shark',
  ]);
  expect(() => parseLabels('[', 'a/labels.txt')).toThrow('a/labels.txt:1: expected a value');
});

test('any text gives labels or a refusal', () => {
  const part = fc.constantFrom(...'{}[]()\'":,;=\t\n 0123n-#/\\ab'.split(''), 'n01440764', 'names', 'index');
  fc.assert(
    fc.property(fc.array(part, { maxLength: 30 }), (parts) => {
      try {
        for (const label of parseLabels(parts.join('')).labels) expect(label.trim()).not.toBe('');
      } catch (error) {
        expect(error).toBeInstanceOf(FqvitError);
        expect((error as FqvitError).code).toBe('LABELS');
      }
    }),
    { numRuns: 2000 },
  );
});

describeWithShared('labels of ImageNet', 1, ['data/imagenet-labels.json'], () => {
  test('objects with an index and a WordNet id', () => {
    const { labels, wnids } = parseLabels(readFileSync(`${shared}data/imagenet-labels.json`, 'utf8'));
    expect([labels.length, labels[0], wnids?.[0]]).toEqual([1000, 'tench', 'n01440764']);
  });
});

function expectRefusal(text: string, message: RegExp): void {
  let error: unknown;
  try {
    parseLabels(text);
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toBeInstanceOf(FqvitError);
  expect(error).toMatchObject({ code: 'LABELS', message: expect.stringMatching(message) });
}

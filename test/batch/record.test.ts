import { expect, test } from '@jest/globals';
import { csvHeader, csvLine, jsonLine, recordOf } from '../../src/batch/record.js';
import { ImageError, UsageError } from '../../src/errors.js';

const predictions = [
  { index: 3, label: 'cat', probability: 0.75 },
  { index: 5, label: 'dog, "big"', probability: 0.25 },
];
const answered = { index: 0, file: 'a.jpg', predictions };
const refused = { index: 1, file: 'b,\n"c".jpg', error: { code: 'IMAGE_EMPTY', message: 'it is empty' } };

test('a line of JSON', () => {
  expect(jsonLine(answered)).toBe(
    '{"index":0,"file":"a.jpg","predictions":[{"index":3,"label":"cat","probability":0.75},{"index":5,"label":"dog, \\"big\\"","probability":0.25}]}\n',
  );
  expect(jsonLine(refused)).toBe(
    '{"index":1,"file":"b,\\n\\"c\\".jpg","error":{"code":"IMAGE_EMPTY","message":"it is empty"}}\n',
  );
});

test('a row of CSV: as many fields as its header, quoted where it must be', () => {
  expect(csvHeader(2, 'softmax')).toBe('index,file,error,label_1,probability_1,label_2,probability_2\n');
  expect(csvLine(answered, 2)).toBe('0,a.jpg,,cat,0.75,"dog, ""big""",0.25\n');
  expect(csvLine(refused, 2)).toBe('1,"b,\n""c"".jpg",IMAGE_EMPTY: it is empty,,,,\n');
});

test('an address is recorded without what may be a secret; the image is asked for with it', async () => {
  const asked: string[] = [];
  const url = 'https://me:s3cret@h.example/a.png?X-Amz-Signature=s3cret';
  const record = await recordOf(0, url, async (file) => {
    asked.push(file);
    return predictions;
  });
  expect(record).toEqual({ index: 0, file: 'https://h.example/a.png', predictions });
  expect(asked).toEqual([url]);
});

test('a line of JSON has nothing that a terminal obeys', () => {
  const file = 'a\u009b31m\u202e\u007f.png';
  const line = jsonLine({ index: 0, file, predictions: [] });
  expect(line).toBe('{"index":0,"file":"a\\u009b31m\\u202e\\u007f.png","predictions":[]}\n');
  expect(JSON.parse(line).file).toBe(file);
});

test('what is wrong with an image is its record, what is wrong with the call is thrown', async () => {
  const throwing = (error: Error) => recordOf(7, 'x.png', () => Promise.reject(error));
  expect(await recordOf(7, 'x.png', async () => predictions)).toEqual({
    index: 7,
    file: 'x.png',
    predictions,
  });
  expect(await throwing(new ImageError('IMAGE_TRUNCATED', 'x.png: short'))).toEqual({
    index: 7,
    file: 'x.png',
    error: { code: 'IMAGE_TRUNCATED', message: 'x.png: short' },
  });
  await expect(throwing(new UsageError('TOP', 'top'))).rejects.toThrow('top');
  await expect(throwing(new TypeError('a fault'))).rejects.toThrow('a fault');
});

test('a regression model has a value in place of the probability', () => {
  const record = { index: 0, file: 'a.jpg', predictions: [{ index: 0, label: 'age', value: 31.5 }] as never };
  expect(csvHeader(1, 'value') + csvLine(record, 1)).toBe(
    'index,file,error,label_1,value_1\n0,a.jpg,,age,31.5\n',
  );
  expect(jsonLine(record)).toBe(
    '{"index":0,"file":"a.jpg","predictions":[{"index":0,"label":"age","value":31.5}]}\n',
  );
});

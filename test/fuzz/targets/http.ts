/**
 * Requests to the HTTP service: bodies, headers and queries, over a classifier that takes nearly
 * anything for a photo.
 */

import { ImageError } from '../../../src/errors.js';
import { type Classifier, createApp } from '../../../src/serve/index.js';
import { info } from '../../serve/info.js';
import { multipartCases } from '../../serve/multipart-cases.js';
import type { Dice } from '../dice.js';
import { encoded, joined, jsonText, mutatedBytes, mutatedJson, mutatedText, oddText } from '../mutate.js';
import { expectThat, type Target } from '../target.js';

const classifier: Classifier = {
  info,
  async classify(image, { top }) {
    if (image[0] === undefined)
      throw new ImageError('IMAGE_EMPTY', 'bytes: expected an image, found no bytes');
    if (image[0] === 0) throw new ImageError('IMAGE_FORMAT', 'bytes: expected an image, found another file');
    return info.labels.map((label, index) => ({ index, label, probability: 0.5 })).slice(0, top);
  },
};

const app = createApp(async () => classifier, { maxBytes: 2 ** 20, maxImages: 8 });

/** Status and codes as docs/serve.md and the OpenAPI document have them. */
const STATUS: Readonly<Record<string, number>> = {
  ...{
    REQUEST: 400,
    QUERY: 400,
    TOP: 400,
    FORM: 400,
    JSON: 400,
    BASE64: 400,
    IMAGES: 400,
    TOO_MANY_IMAGES: 400,
    BODY_CUT: 400,
  },
  ...{
    PATH: 404,
    METHOD: 405,
    BODY_TOO_LARGE: 413,
    CONTENT_TYPE: 415,
    CONTENT_ENCODING: 415,
    TRANSFER_ENCODING: 501,
  },
  ...{ IMAGE_EMPTY: 422, IMAGE_FORMAT: 422 },
};

const CASES = multipartCases(encoded('photo'));

const PATHS = [
  '/v1/classify',
  '/v1/classify',
  '/v1/classify',
  '/v1/models',
  '/healthz',
  '/readyz',
  '/metrics',
  '/openapi.json',
  '/',
];
const QUERIES = [
  '',
  '?top=1',
  '?top=5',
  '?top=0',
  '?top=1&top=2',
  '?topk=1',
  '?top=%31',
  '?top=',
  '?%E0%A4%A',
  '?__proto__=1',
  '?top=1#x',
];
const TYPES = [
  ...[
    '',
    'application/json',
    'image/jpeg',
    'image/png',
    'application/octet-stream',
    'text/plain',
    'multipart/form-data',
  ],
  ...[
    'application/json; charset=utf-8',
    'application/json;charset=utf-16',
    'Application/JSON ; x="y"',
    'multipart/mixed; boundary=BB',
  ],
  ...[
    'multipart/form-data; boundary=BB',
    'multipart/form-data; boundary="BB"',
    'multipart/form-data; boundary=""',
    ';',
    'a/b/c',
    '*/*',
  ],
];
const HEADERS = [
  ...[
    ['content-encoding', 'gzip'],
    ['content-encoding', 'identity'],
    ['transfer-encoding', 'chunked'],
    ['transfer-encoding', 'gzip'],
  ],
  ...[
    ['content-length', '99999999'],
    ['content-length', '-1'],
    ['content-length', 'x'],
    ['host', 'a b'],
    ['host', 'a/b?c'],
    ['host', '[::1]:80'],
  ],
  ...[
    ['x-request-id', 'abc'],
    ['x-request-id', 'a b'],
    ['authorization', 'Bearer x'],
    ['accept', 'text/html'],
    ['expect', '100-continue'],
  ],
] as [string, string][];

const BASE64 = [
  'Yw==',
  'data:image/png;base64,Yw==',
  'AAAA',
  '?',
  'Yw',
  'http://example.com/',
  'http://[',
  ' Yw== ',
  'https:',
  'data:;base64,',
  '',
];

/** A request as lines of a head, an empty line, and the body. */
function message(
  method: string,
  path: string,
  headers: readonly (readonly [string, string])[],
  body: Uint8Array,
): Uint8Array {
  const clean = (text: string) => text.replaceAll(/[^\t\x20-\x7e\x80-\xff]/g, '');
  const head = [
    `${method} ${path}`,
    ...headers.map(([name, value]) => `${name}: ${clean(value)}`),
    '',
    '',
  ].join('\n');
  return joined(Uint8Array.from(Buffer.from(head, 'latin1')), body);
}

function parsed(input: Uint8Array): Request | undefined {
  const end = Buffer.from(input).indexOf('\n\n');
  const [first = '', ...lines] = Buffer.from(input.subarray(0, Math.max(0, end)))
    .toString('latin1')
    .split('\n');
  const [method = '', path = ''] = first.split(' ');
  try {
    const headers = new Headers(
      lines.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]),
    );
    const isBody = method !== 'GET' && method !== 'HEAD';
    return new Request(`http://localhost${path}`, {
      method,
      headers,
      ...(isBody ? { body: input.slice(end + 2) } : {}),
    });
  } catch {
    // What the platform does not let pass.
    return undefined;
  }
}

function form(dice: Dice): [string, Uint8Array] {
  const { type, body } = dice.pick(CASES);
  if (dice.chance(0.2)) return [type, body];
  if (dice.chance(0.5)) return [type, mutatedBytes(dice, body, dice.between(1, 3))];
  const part = () => {
    const name = dice.pick(['image', 'top', 'image', oddText(dice).replaceAll(/[\p{C}"]/gu, '')]);
    const file = dice.chance(0.7) ? `; filename="${oddText(dice).replaceAll(/[\r\n"]/g, '')}"` : '';
    const head = `Content-Disposition: form-data; name="${name}"${file}`;
    const changed = dice.chance(0.7) ? head : mutatedText(dice, head, 1);
    const more = dice.chance(0.8)
      ? ''
      : `\r\n${dice.pick(HEADERS).join(dice.pick([': ', ':', ' : ', ' ']))}`.repeat(dice.pick([1, 2, 100]));
    return joined(
      encoded(`--BB\r\n${changed}${more}\r\n\r\n`),
      dice.pick([encoded('1'), encoded('photo'), dice.bytes(20)]),
      encoded('\r\n'),
    );
  };
  const parts = Array.from({ length: dice.pick([1, 2, 3, 9, 300]) }, part);
  return [
    'multipart/form-data; boundary=BB',
    joined(...parts, encoded(dice.chance(0.9) ? '--BB--\r\n' : '')),
  ];
}

function json(dice: Dice): [string, Uint8Array] {
  const images = Array.from({ length: dice.pick([1, 2, 8, 9]) }, () => dice.pick(BASE64));
  const document = { images, ...(dice.chance(0.5) ? { top: dice.pick([1, 5, 0, -1, 1.5, 1e9]) } : {}) };
  const text = jsonText(dice, dice.chance(0.5) ? mutatedJson(dice, document) : document);
  const bytes = encoded(text);
  return [
    dice.chance(0.9) ? 'application/json' : dice.pick(TYPES),
    dice.chance(0.9) ? bytes : mutatedBytes(dice, bytes, 1),
  ];
}

export const http: Target = {
  name: 'http',
  about: 'Requests to the service: JSON, forms, raw bodies, headers, queries',
  inputs: 600,
  codes: [],
  place: /^/,
  make(dice) {
    const method = dice.chance(0.9)
      ? 'POST'
      : dice.pick(['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS', 'PATCH']);
    const path = dice.chance(0.95) ? '/v1/classify' : dice.pick(PATHS);
    const query = dice.chance(0.1) ? dice.pick(QUERIES) : '';
    const body = dice.pick([
      form,
      json,
      json,
      form,
      (): [string, Uint8Array] => [dice.pick(TYPES), dice.bytes(dice.pick([1, 0, 50]))],
    ]);
    const [type, bytes] = body(dice);
    const headers = dice.chance(0.1) ? [dice.pick(HEADERS)] : [];
    const sent = dice.chance(0.95) ? type : dice.pick([mutatedText(dice, type, 1), dice.pick(TYPES)]);
    return message(
      method,
      `${path}${query}`,
      sent === '' ? headers : [['content-type', sent], ...headers],
      bytes,
    );
  },
  async check(input) {
    const request = parsed(input);
    if (request === undefined) return 'no request';
    const answer = await app.fetch(request);
    const { status } = answer;
    expectThat(answer.headers.get('x-content-type-options') === 'nosniff', 'no x-content-type-options');
    expectThat(/^[\w.:-]{1,64}$/.test(answer.headers.get('x-request-id') ?? ''), 'no x-request-id');
    const text = await answer.text();
    if (status === 200) {
      if (answer.headers.get('content-type')?.startsWith('application/json')) JSON.parse(text || '{}');
      return undefined;
    }
    // HEAD has no body.
    if (request.method === 'HEAD') return String(status);
    expectThat(
      answer.headers.get('content-type') === 'application/problem+json',
      `${status} without a problem`,
    );
    const { code, detail, title, status: told } = JSON.parse(text);
    const expected = code === 'URL' ? [400, 403] : [STATUS[code as string]];
    expectThat(expected.includes(status) && told === status, `status ${status} for ${code}`);
    expectThat(
      /^\S.*: expected .* found /.test(detail) && detail.length < 2000,
      `detail of ${code}: ${detail}`,
    );
    expectThat(typeof title === 'string', 'no title');
    return code;
  },
  async control() {
    const { status } = await app.request('/v1/classify', {
      method: 'POST',
      body: encoded('photo') as BodyInit,
    });
    expectThat(status === 200, `a sound request gets ${status}`);
  },
};

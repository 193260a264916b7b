import { describe, expect, jest, test } from '@jest/globals';
import { ImageError, load, RuntimeError } from '../../src/index.js';
import { type Answer, type AppOptions, type Classifier, createApp } from '../../src/serve/index.js';
import { tinyIntegerFile } from '../support/tiny-integer.js';
import { info } from './info.js';

/**
 * Takes the letter c for a cat, d for a dog, w for one that takes long; anything else is no photo.
 */
function fake(classify?: Classifier['classify']): Classifier {
  return {
    info,
    classify:
      classify ??
      (async ([first], { top }) => {
        const index = 'cd'.indexOf(String.fromCharCode(first ?? 0));
        if (index < 0) throw new ImageError('IMAGE_FORMAT', 'bytes: expected an image, found none');
        return [
          { index, label: info.labels[index]!, probability: 0.75 },
          { index: 1 - index, label: info.labels[1 - index]!, probability: 0.25 },
        ].slice(0, top);
      }),
  };
}

const app = (options?: AppOptions, classifier = fake()) => createApp(async () => classifier, options);

/** Bytes, of which nothing is said. */
const post = (body: string | Buffer | FormData, headers: Record<string, string> = {}): RequestInit => ({
  method: 'POST',
  body: (typeof body === 'string' ? Buffer.from(body) : body) as BodyInit,
  headers,
});

const json = (document: unknown) =>
  post(typeof document === 'string' ? document : JSON.stringify(document), {
    'content-type': 'application/json',
  });

function form(fields: [string, string | Blob][]) {
  const all = new FormData();
  for (const [name, value] of fields) all.append(name, value as Blob);
  return post(all);
}

const CAT = { index: 0, label: 'cat', probability: 0.75 };
const DOG = { index: 1, label: 'dog', probability: 0.75 };

describe('photos', () => {
  test.each([
    ['a body', post('c'), [{ predictions: [CAT, { ...DOG, probability: 0.25 }] }]],
    [
      'a body of bytes',
      post('c', { 'content-type': 'Image/JPEG; q=1' }),
      [{ predictions: [CAT, expect.anything()] }],
    ],
    [
      'base64',
      json({ images: ['Yw==', 'ZA==', 'data:image/png;base64,Yw=='], top: 1 }),
      [CAT, DOG, CAT].map((one) => ({ predictions: [one] })),
    ],
    [
      'files of a form',
      form([
        ['image', new File(['c'], 'a.jpg')],
        ['top', '1'],
        ['image', new File(['d'], 'ö"b.jpg')],
      ]),
      [
        { name: 'a.jpg', predictions: [CAT] },
        { name: 'ö"b.jpg', predictions: [DOG] },
      ],
    ],
  ])('%s', async (_, request, results) => {
    const answer = await app().request('/v1/classify', request);
    expect([answer.status, await answer.json()]).toEqual([
      200,
      { model: 'vit_tiny', results, ms: expect.any(Number) },
    ]);
  });

  test('the number of classes in the query, and that of the body before it', async () => {
    const top = async (query: string, request: RequestInit) => {
      const answer = await app().request(`/v1/classify${query}`, request);
      const { results } = (await answer.json()) as { results: { predictions: unknown[] }[] };
      return results[0]!.predictions.length;
    };
    expect(await top('?top=1', post('c'))).toBe(1);
    expect(await top('?top=2', json({ images: ['Yw=='], top: 1 }))).toBe(1);
  });

  test('one that is none is 422; among others it has an error of its own', async () => {
    const one = await app().request('/v1/classify', post('?'));
    expect([one.status, one.headers.get('content-type'), await one.json()]).toEqual([
      422,
      'application/problem+json',
      {
        title: 'Unprocessable Content',
        status: 422,
        detail: 'bytes: expected an image, found none',
        code: 'IMAGE_FORMAT',
      },
    ]);
    const two = await app().request('/v1/classify', json({ images: ['Yw==', 'Pw=='], top: 1 }));
    expect([two.status, await two.json()]).toMatchObject([
      200,
      { results: [{ predictions: [CAT] }, { error: { code: 'IMAGE_FORMAT', message: expect.any(String) } }] },
    ]);
  });

  test('a real model answers as it does without the service', async () => {
    const model = await load(tinyIntegerFile());
    const { readFileSync } = await import('node:fs');
    const photo = readFileSync(new URL('../../examples/chelsea.png', import.meta.url));
    const answer = await createApp(async () => model).request('/v1/classify', post(photo));
    expect(await answer.json()).toMatchObject({ results: [{ predictions: await model.classify(photo) }] });
    model.dispose();
  });
});

describe('what is refused', () => {
  const LIMITS = { maxBytes: 100, maxImages: 3 };
  test.each<[string, string, RequestInit, number, string]>([
    ['an unknown path', '/v2', {}, 404, 'PATH'],
    ['metrics, where there are none', '/metrics', {}, 404, 'PATH'],
    ['another method', '/v1/classify', { method: 'DELETE' }, 405, 'METHOD'],
    ['another method', '/healthz', { method: 'POST' }, 405, 'METHOD'],
    ['a type that is none', '/v1/classify', post('c', { 'content-type': 'text/html' }), 415, 'CONTENT_TYPE'],
    ['a long body', '/v1/classify', post('c'.repeat(101)), 413, 'BODY_TOO_LARGE'],
    [
      'a body that is said to be long',
      '/v1/classify',
      post('c', { 'content-length': '101' }),
      413,
      'BODY_TOO_LARGE',
    ],
    ['too many photos', '/v1/classify', json({ images: ['Yw', 'Yw', 'Yw', 'Yw'] }), 400, 'TOO_MANY_IMAGES'],
    ['no classes', '/v1/classify?top=0', post('c'), 400, 'TOP'],
    ['half a class', '/v1/classify?top=1.5', post('c'), 400, 'TOP'],
    ['more classes than there are', '/v1/classify?top=1000001', post('c'), 400, 'TOP'],
    ['as many in JSON', '/v1/classify', json({ images: ['Yw=='], top: 1_000_001 }), 400, 'TOP'],
    ['classes without a number', '/v1/classify?top=', post('c'), 400, 'TOP'],
    ['classes twice', '/v1/classify?top=1&top=2', post('c'), 400, 'QUERY'],
    ['another query', '/v1/classify?topk=1', post('c'), 400, 'QUERY'],
    ['classes as text', '/v1/classify', json({ images: ['Yw=='], top: '1' }), 400, 'TOP'],
    ['classes that are null', '/v1/classify', json({ images: ['Yw=='], top: null }), 400, 'TOP'],
    ['no JSON', '/v1/classify', json('{"images":['), 400, 'JSON'],
    ['another value', '/v1/classify', json([]), 400, 'JSON'],
    ['null', '/v1/classify', json('null'), 400, 'JSON'],
    ['another member', '/v1/classify', json({ images: ['Yw=='], __proto: 1 }), 400, 'JSON'],
    ['no photos', '/v1/classify', json({ images: [] }), 400, 'IMAGES'],
    ['no list of photos', '/v1/classify', json({ images: 'Yw==' }), 400, 'IMAGES'],
    ['a photo that is a number', '/v1/classify', json({ images: [1] }), 400, 'IMAGES'],
    ['no base64', '/v1/classify', json({ images: ['?'] }), 400, 'BASE64'],
    ['an address', '/v1/classify', json({ images: ['http://example.com/'] }), 403, 'URL'],
    ['half an address', '/v1/classify', json({ images: ['http://['] }), 400, 'URL'],
    [
      'a form that is none',
      '/v1/classify',
      post('c', { 'content-type': 'multipart/form-data; boundary=x' }),
      400,
      'FORM',
    ],
    [
      'a form without photos',
      '/v1/classify',
      post('--x--\r\n', { 'content-type': 'multipart/form-data; boundary=x' }),
      400,
      'IMAGES',
    ],
  ])('%s, %s', async (_, path, request, status, code) => {
    const answers: Answer[] = [];
    const answer = await app({ ...LIMITS, onAnswer: (one) => answers.push(one) }).request(path, request);
    expect([answer.status, answer.headers.get('content-type'), await answer.json()]).toEqual([
      status,
      'application/problem+json',
      {
        status,
        code,
        title: expect.stringMatching(/^[A-Z]/),
        detail: expect.stringMatching(/^\S+: expected .* found /),
      },
    ]);
    expect(answers).toEqual([expect.objectContaining({ status, code, images: 0 })]);
    expect(answers[0]!.route).toBe(status === 404 && path === '/v2' ? 'other' : path.replace(/\?.*/, ''));
  });

  test.each([
    [[['photo', new File(['c'], 'a')]]],
    [[['image', 'c']]],
    [
      [
        ['image', new File(['c'], 'a')],
        ['top', new File(['1'], 'b')],
      ],
    ],
  ] as [[string, string | Blob][]][])('a form with other fields: %j', async (fields) => {
    const answer = await app().request('/v1/classify', form(fields));
    expect([answer.status, await answer.json()]).toMatchObject([400, { code: 'FORM' }]);
  });
});

/** A classifier whose photos wait until they are let go. */
function held() {
  const waiting: (() => void)[] = [];
  const signals: AbortSignal[] = [];
  const classifier = fake(async (_, { signal }) => {
    signals.push(signal);
    await new Promise<void>((resolve, reject) => {
      waiting.push(resolve);
      signal.addEventListener('abort', () => reject(signal.reason));
    });
    return [CAT];
  });
  const letGo = () => {
    for (const go of waiting.splice(0)) go();
  };
  return { classifier, waiting, signals, letGo };
}

const turn = () => new Promise((resolve) => setTimeout(resolve, 5));

describe('an encoding', () => {
  const unread = (headers: Record<string, string>): RequestInit => {
    const body = new ReadableStream(
      { pull: jest.fn<() => void>(() => expect(true).toBe(false)) },
      { highWaterMark: 0 },
    );
    return { method: 'POST', body, headers, duplex: 'half' } as RequestInit;
  };

  test.each(['gzip', 'GZIP', 'br', 'x-own', 'identity, gzip', 'gzip, identity', 'identity;q=1', '*'])(
    'of the content, %s, is 415 before the body is read',
    async (encoding) => {
      const service = app();
      const answer = await service.request('/v1/classify', unread({ 'content-encoding': encoding }));
      expect([answer.status, answer.headers.get('accept-encoding'), await answer.json()]).toMatchObject([
        415,
        'identity',
        {
          code: 'CONTENT_ENCODING',
          detail: expect.stringMatching(/^content-encoding: expected identity, found "/),
        },
      ]);
    },
  );

  test.each(['gzip, chunked', 'deflate'])(
    'of the transfer, %s, is 501 before the body is read',
    async (coding) => {
      const answer = await app().request('/v1/classify', unread({ 'transfer-encoding': coding }));
      expect([answer.status, await answer.json()]).toMatchObject([501, { code: 'TRANSFER_ENCODING' }]);
    },
  );

  test.each([
    { 'content-encoding': 'identity' },
    { 'content-encoding': 'Identity , identity' },
    { 'content-encoding': '' },
    { 'transfer-encoding': 'Chunked' },
  ] as Record<string, string>[])('that changes nothing, %j, is taken', async (headers) => {
    expect((await app().request('/v1/classify', post('c', headers))).status).toBe(200);
  });
});

describe('what is too much', () => {
  test('is sent away at once, before its body is read, and there is room again after', async () => {
    const { classifier, waiting, letGo } = held();
    const service = app({ queue: 3, parallel: 3 }, classifier);
    const inside = [1, 2, 3].map(() => service.request('/v1/classify', post('c')));
    await turn();
    expect(waiting).toHaveLength(3);
    const body = new ReadableStream(
      { pull: jest.fn<() => void>(() => expect(true).toBe(false)) },
      { highWaterMark: 0 },
    );
    const over = await service.request('/v1/classify', {
      method: 'POST',
      body,
      duplex: 'half',
    } as RequestInit);
    expect([over.status, over.headers.get('retry-after'), await over.json()]).toMatchObject([
      503,
      '1',
      { code: 'OVERLOAD' },
    ]);
    expect((await service.request('/healthz')).status).toBe(200);
    letGo();
    for (const one of await Promise.all(inside)) expect(one.status).toBe(200);
    const next = service.request('/v1/classify', post('c'));
    await turn();
    letGo();
    expect((await next).status).toBe(200);
  });

  test('a request counts as many times as it has photos', async () => {
    const { classifier, letGo } = held();
    const service = app({ queue: 3, maxImages: 3, parallel: 3 }, classifier);
    const two = service.request('/v1/classify', json({ images: ['Yw==', 'Yw=='] }));
    await turn();
    const other = await service.request('/v1/classify', json({ images: ['Yw==', 'Yw=='] }));
    expect([other.status, await other.json()]).toMatchObject([503, { code: 'OVERLOAD' }]);
    const one = service.request('/v1/classify', post('c'));
    await turn();
    letGo();
    expect([(await two).status, (await one).status]).toEqual([200, 200]);
  });

  test('photos of a request are on their way `parallel` at a time', async () => {
    const { classifier, waiting, letGo } = held();
    const answer = app({ parallel: 2 }, classifier).request(
      '/v1/classify',
      json({ images: Array(5).fill('Yw==') }),
    );
    const seen: number[] = [];
    for (let i = 0; i < 3; i++) {
      await turn();
      seen.push(waiting.length);
      letGo();
    }
    expect(seen).toEqual([2, 2, 1]);
    expect(((await (await answer).json()) as { results: unknown[] }).results).toHaveLength(5);
  });

  test('what takes longer than the limit is 503, and its photo is let go', async () => {
    const { classifier, signals } = held();
    const answer = await app({ timeoutMs: 40 }, classifier).request('/v1/classify', post('c'));
    expect([answer.status, answer.headers.get('retry-after'), await answer.json()]).toMatchObject([
      503,
      '1',
      { code: 'TIMEOUT' },
    ]);
    expect(signals[0]!.aborted).toBe(true);
  });

  test('a body that comes too slowly is 408', async () => {
    const body = new ReadableStream({ start: (controller) => controller.enqueue(new Uint8Array(1)) });
    const answer = await app({ timeoutMs: 60 }).request('/v1/classify', {
      method: 'POST',
      body,
      duplex: 'half',
    } as RequestInit);
    expect([answer.status, answer.headers.get('connection'), await answer.json()]).toMatchObject([
      408,
      'close',
      { code: 'BODY_SLOW' },
    ]);
  });

  test('a body that is cut is 400', async () => {
    const body = new ReadableStream({ pull: (controller) => controller.error(new Error('cut')) });
    const answer = await app().request('/v1/classify', {
      method: 'POST',
      body,
      duplex: 'half',
    } as RequestInit);
    expect([answer.status, await answer.json()]).toMatchObject([400, { code: 'BODY_CUT' }]);
  });

  test('whoever goes takes his photo along', async () => {
    const { classifier, signals } = held();
    const client = new AbortController();
    const request = new Request('http://here/v1/classify', { ...post('c'), signal: client.signal });
    const answer = app({}, classifier).request(request);
    await turn();
    client.abort();
    expect((await answer).status).toBe(400);
    expect(signals[0]!.aborted).toBe(true);
  });
});

test.each([
  ['a document', json(`{"images":[${'"",'.repeat(1e6)}""]}`)],
  [
    'a form',
    post(
      `${'--boundary-of-a-form\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n\r\n'.repeat(5e4)}--boundary-of-a-form--\r\n`,
      {
        'content-type': 'multipart/form-data; boundary=boundary-of-a-form',
      },
    ),
  ],
])('%s of very many photos is refused before they are made', async (_, request) => {
  const arrays = jest.spyOn(Uint8Array, 'from');
  const start = performance.now();
  const answer = await app().request('/v1/classify', request);
  expect([answer.status, await answer.json()]).toMatchObject([400, { code: 'TOO_MANY_IMAGES' }]);
  expect(arrays).not.toHaveBeenCalled();
  expect(performance.now() - start).toBeLessThan(1000);
  arrays.mockRestore();
});

test('an empty token lets nobody in', async () => {
  expect((await app({ token: '' }).request('/v1/models')).status).toBe(401);
});

describe('a token', () => {
  const service = app({
    token: 'sesame',
    metrics: { contentType: 'text/plain', text: async (inside) => `inside ${inside}\n` },
  });
  test.each([
    ['none', undefined],
    ['another', 'Bearer open'],
    ['another scheme', 'Basic sesame'],
    ['a longer one', 'Bearer sesame2'],
    ['nothing behind the scheme', 'Bearer '],
  ])('%s is 401', async (_, authorization) => {
    const headers: Record<string, string> = authorization === undefined ? {} : { authorization };
    for (const path of ['/v1/classify', '/v1/models', '/metrics']) {
      const request = path === '/v1/classify' ? post('c', headers) : { headers };
      const answer = await service.request(path, request);
      expect([answer.status, answer.headers.get('www-authenticate'), await answer.json()]).toMatchObject([
        401,
        'Bearer',
        { code: 'TOKEN' },
      ]);
    }
    expect((await service.request('/healthz', { headers })).status).toBe(200);
  });

  test('the right one opens', async () => {
    const headers = { authorization: 'bearer sesame' };
    expect((await service.request('/v1/classify', post('c', headers))).status).toBe(200);
    expect(await (await service.request('/metrics', { headers })).text()).toBe('inside 0\n');
  });
});

describe('the model', () => {
  test('is opened once, with the first request that needs it, and again after a failure', async () => {
    const open = jest
      .fn<() => Promise<Classifier>>()
      .mockRejectedValueOnce(new RuntimeError('SOURCE', 'secret/path: none'))
      .mockResolvedValue(fake());
    const answers: Answer[] = [];
    const service = createApp(open, { onAnswer: (one) => answers.push(one) });
    expect((await service.request('/healthz')).status).toBe(200);
    expect(open).toHaveBeenCalledTimes(0);
    const failed = await service.request('/readyz');
    expect(failed.status).toBe(500);
    expect(await failed.text()).not.toMatch(/secret/);
    expect(answers.at(-1)).toMatchObject({
      status: 500,
      code: 'SOURCE',
      error: { message: 'secret/path: none' },
    });
    const [one, two] = await Promise.all([
      service.request('/v1/classify', post('c')),
      service.request('/readyz'),
    ]);
    expect([one.status, two.status]).toEqual([200, 200]);
    expect(open).toHaveBeenCalledTimes(2);
  });

  test('is described', async () => {
    expect(await (await app({ name: 'mine' }).request('/v1/models')).json()).toEqual({
      models: [
        {
          id: 'mine',
          architecture: 'vit_tiny',
          imageSize: 8,
          classes: 2,
          output: 'softmax',
          bytes: 1234,
          tier: 'simd',
          labels: ['cat', 'dog'],
        },
      ],
    });
  });

  test('a photo that takes a worker too long is 503, a fault 500 that tells nothing', async () => {
    const slow = fake(async () => Promise.reject(new RuntimeError('POOL_LIMIT', 'x')));
    const one = await app({}, slow).request('/v1/classify', post('c'));
    expect([one.status, await one.json()]).toMatchObject([503, { code: 'IMAGE_TIME' }]);
    const broken = fake(async () => Promise.reject(new TypeError('secret')));
    const two = await app({}, broken).request('/v1/classify', json({ images: ['Yw==', 'Yw=='] }));
    expect([two.status, await two.text()]).toEqual([500, expect.not.stringMatching(/secret/)]);
  });
});

describe('around it', () => {
  test('a service that stops says so', async () => {
    const service = app({ isStopping: () => true });
    for (const [path, request] of [
      ['/readyz', {}],
      ['/v1/classify', post('c')],
    ] as const) {
      const answer = await service.request(path, request);
      expect([answer.status, answer.headers.get('retry-after'), await answer.json()]).toMatchObject([
        503,
        '1',
        { code: 'STOPPING' },
      ]);
    }
    expect((await service.request('/healthz')).status).toBe(200);
  });

  test.each([
    ['abc-1.2:x', 'abc-1.2:x'],
    ['a b', expect.stringMatching(/^[\da-f-]{36}$/)],
    ['a'.repeat(65), expect.stringMatching(/^[\da-f-]{36}$/)],
  ])('the id of a request, %s', async (given, id) => {
    const answers: Answer[] = [];
    const service = app({ onAnswer: (one) => answers.push(one) });
    const answer = await service.request('/healthz', { headers: { 'x-request-id': given } });
    expect(answer.headers.get('x-request-id')).toEqual(id);
    expect(answers).toEqual([
      expect.objectContaining({ id, route: '/healthz', status: 200, ms: expect.any(Number) }),
    ]);
  });

  test('a path without a host, as Bun gives it of HTTP/1.0, is the same path', async () => {
    const request = Object.create(new Request('http://here/healthz'), { url: { value: '/healthz?x' } });
    expect((await app().fetch(request)).status).toBe(200);
  });

  test.each(['a/v1/models?', 'a b', 'u:p@h', 'a\\b', 'a#', 'ü'])('the Host %j is refused', async (host) => {
    const answers: Answer[] = [];
    const service = app({ onAnswer: (one) => answers.push(one) });
    const answer = await service.request('/healthz', { headers: { host } });
    expect([answer.status, await answer.json()]).toEqual([400, expect.objectContaining({ code: 'REQUEST' })]);
    expect(answers).toEqual([expect.objectContaining({ status: 400, code: 'REQUEST' })]);
  });

  test.each(['a', 'a.example:80', '[::1]:8080', 'my_host-1', ''])('the Host %j is taken', async (host) => {
    expect((await app().request('/healthz', { headers: { host } })).status).toBe(200);
  });

  test('a page under a strict policy, whose parts are there', async () => {
    const page = await app().request('/');
    expect(page.headers.get('content-security-policy')).toMatch(/default-src 'none'/);
    const text = await page.text();
    for (const [, path] of text.matchAll(/(?:src|href)="([^"]+)"/g)) {
      expect((await app().request(`/${path}`)).status).toBe(200);
    }
    expect(text).not.toMatch(/<style|style=|<script>/);
  });

  test('a regression answers with its value, and says what it is', async () => {
    const predictions = [{ index: 0, label: 'age', value: 31.5 }];
    const regression = {
      info: { ...info, output: 'value' as const, labels: ['age'] },
      classify: async () => predictions as never,
    };
    const service = app({}, regression);
    const answer = await service.request('/v1/classify', post('c'));
    expect(await answer.json()).toMatchObject({ results: [{ predictions }] });
    expect(await (await service.request('/v1/models')).json()).toMatchObject({
      models: [{ output: 'value' }],
    });
    const { components } = (await (await service.request('/openapi.json')).json()) as {
      components: { schemas: { Prediction: { oneOf: { required: string[] }[] } } };
    };
    expect(components.schemas.Prediction.oneOf.map(({ required }) => required)).toEqual([
      ['index', 'label', 'probability'],
      ['index', 'label', 'value'],
    ]);
  });

  test('the document names the paths, the limits and the token', async () => {
    const document = await (await app({ maxImages: 7, token: 'x' }).request('/openapi.json')).json();
    expect(document).toMatchObject({
      openapi: '3.1.0',
      components: { securitySchemes: { bearer: {} } },
      paths: { '/v1/classify': { post: { responses: { 401: {}, 503: {} }, security: [{ bearer: [] }] } } },
    });
    expect(JSON.stringify(document)).toMatch(/"maxItems":7/);
  });
});

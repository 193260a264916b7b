import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { HubError } from '../../src/errors.js';
import { refusal } from '../support/refusal.js';
import { type Fault, gitOidOf, refuse, send } from './server.js';
import { aModel, Bench, COMMIT, ID, noise, WEIGHTS, weights, weightsHash } from './support.js';

const bench = new Bench();
const BLOBS = 'models--someone--a-model/blobs';
const CUT = weights.length * 0.6;

/** Only what the storage is asked. */
function storage(answer: Fault): Fault {
  return (request, response, seen) =>
    seen.server === 'storage' ? answer(request, response, seen) : undefined;
}

/** What the storage was asked for. */
function ranges(): string[] {
  return bench.hub.seen.filter(({ server }) => server === 'storage').map(({ range }) => range ?? 'all');
}

/**
 * The storage's first answer ends at 60 %, when all of that has arrived; `rest` gives the others.
 */
function cutOnce(rest?: Fault): { onProgress: (loaded: number) => void; loaded: number[] } {
  let held: ServerResponse | undefined;
  bench.hub.fault = storage((request, response, seen) => {
    if (held) return rest?.(request, response, seen);
    held = send(request, response, weights, `"${weights.length}-5"`, { stopAt: CUT });
    return held;
  });
  const loaded: number[] = [];
  return {
    loaded,
    onProgress: (bytes) => {
      loaded.push(bytes);
      if (bytes === CUT) held!.destroy();
    },
  };
}

/** What an earlier run has left. */
function leftover(owner: string, bytes: Uint8Array): string {
  mkdirSync(join(bench.cacheDir, BLOBS), { recursive: true });
  const path = join(bench.cacheDir, BLOBS, `${weightsHash}.${owner}.incomplete`);
  writeFileSync(path, bytes);
  return path;
}

describe('a connection that is cut at 60 %', () => {
  test('goes on there, if the file is still the same', async () => {
    const { onProgress, loaded } = cutOnce();
    expect(await bench.fetch([WEIGHTS], { onProgress })).toEqual([weightsHash]);
    expect(bench.hub.seen.filter(({ server }) => server === 'storage')).toMatchObject([
      { range: undefined, ifRange: undefined },
      { range: `bytes=${CUT}-`, ifRange: `"${weights.length}-5"` },
    ]);
    expect(bench.pauses).toEqual([1000]);
    expect(loaded).toEqual([...loaded].sort((a, b) => a - b));
    expect(bench.incomplete()).toEqual([]);
  });

  test('starts over where the server ignores the range', async () => {
    const { onProgress, loaded } = cutOnce((request, response) => {
      delete request.headers.range;
      return send(request, response, weights, `"${weights.length}-5"`);
    });
    expect(await bench.fetch([WEIGHTS], { onProgress })).toEqual([weightsHash]);
    expect(ranges()).toEqual(['all', `bytes=${CUT}-`]);
    expect(loaded.at(-1)).toBe(weights.length);
  });

  test('starts over where the ETag has changed', async () => {
    const { onProgress } = cutOnce((request, response) => send(request, response, weights, '"another"'));
    expect(await bench.fetch([WEIGHTS], { onProgress })).toEqual([weightsHash]);
    expect(ranges()).toEqual(['all', `bytes=${CUT}-`]);
  });

  test.each<[string, Fault]>([
    [
      'of a file with another ETag',
      (request, response) => {
        delete request.headers['if-range'];
        return send(request, response, weights, '"another"');
      },
    ],
    [
      'from elsewhere',
      (request, response) => {
        request.headers.range = request.headers.range && 'bytes=5-';
        return send(request, response, weights, `"${weights.length}-5"`);
      },
    ],
    [
      'of a longer file',
      (request, response) =>
        send(request, response, request.headers.range ? noise(300_000) : weights, `"${weights.length}-5"`),
    ],
    [
      'with bytes of another file',
      (request, response) =>
        send(request, response, request.headers.range ? noise(200_000, 3) : weights, `"${weights.length}-5"`),
    ],
    [
      'not at all (416)',
      (request, response) => (request.headers.range ? response.writeHead(416).end() : undefined),
    ],
  ])('starts over where the range comes %s', async (_, rest) => {
    const { onProgress } = cutOnce(rest);
    expect(await bench.fetch([WEIGHTS], { onProgress })).toEqual([weightsHash]);
    expect(ranges()).toEqual(['all', `bytes=${CUT}-`, 'all']);
  });

  test('again and again: an end, and the next run goes on', async () => {
    let stopAt = 0;
    let held: ServerResponse;
    bench.hub.fault = storage((request, response) => {
      stopAt += 20_000;
      held = send(request, response, weights, '"a"', { stopAt });
      return held;
    });
    const onProgress = (bytes: number) => {
      if (bytes === stopAt) held?.destroy();
    };
    const message = await refusal(bench.fetch([WEIGHTS], { onProgress }), HubError, 'HUB_NETWORK');
    expect(message).toMatch(
      /^someone\/a-model\/model.safetensors: expected an answer of http.*, found UND_ERR_SOCKET$/,
    );
    expect(bench.pauses).toEqual([1000, 2000, 4000, 8000]);
    expect(bench.incomplete()).toEqual([{ name: `${BLOBS}/${weightsHash}.free.incomplete`, size: 100_000 }]);
    bench.hub.fault = undefined;
    bench.hub.requests();
    expect(await bench.fetch([WEIGHTS])).toEqual([weightsHash]);
    expect(ranges()).toEqual(['bytes=100000-']);
  });
});

describe('what an earlier run has left', () => {
  const machine = createHash('sha256').update(hostname()).digest('hex').slice(0, 8);
  const dead = spawnSync('true').pid;

  test.each([
    ['in good order', 'free'],
    ['when it was ended', `${machine}-${dead}-abcd`],
  ])('%s is gone on with', async (_, owner) => {
    leftover(owner, weights.subarray(0, 50_000));
    const loaded: number[] = [];
    expect(await bench.fetch([WEIGHTS], { onProgress: (bytes) => void loaded.push(bytes) })).toEqual([
      weightsHash,
    ]);
    expect(ranges()).toEqual(['bytes=50000-']);
    expect(loaded[0]).toBe(50_000);
    expect(bench.incomplete()).toEqual([]);
  });

  test('on another machine: only when it has been still for long', async () => {
    const path = leftover('00000000-1-abcd', weights.subarray(0, 50_000));
    expect(await bench.fetch([WEIGHTS])).toEqual([weightsHash]);
    expect(ranges()).toEqual(['all']);
    expect(bench.incomplete()).toHaveLength(1);
    utimesSync(path, 0, 0);
    bench.hub.models[ID] = { ...aModel(), commit: 'b'.repeat(40) };
    const blob = join(bench.cacheDir, BLOBS, weightsHash);
    writeFileSync(blob, '');
    expect(await bench.fetch([WEIGHTS])).toEqual([weightsHash]);
    expect(ranges()).toEqual(['all', 'bytes=50000-']);
    expect(bench.incomplete()).toEqual([]);
  });

  test('of a process that still runs is left alone', async () => {
    const path = leftover(`${machine}-${process.ppid}-abcd`, weights.subarray(0, 50_000));
    utimesSync(path, 0, 0);
    expect(await bench.fetch([WEIGHTS])).toEqual([weightsHash]);
    expect(ranges()).toEqual(['all']);
    expect(bench.incomplete()).toMatchObject([{ size: 50_000 }]);
  });

  test('several: one is gone on with, the others go', async () => {
    for (const owner of ['free', `${machine}-${dead}-abcd`]) leftover(owner, weights.subarray(0, 50_000));
    expect(await bench.fetch([WEIGHTS])).toEqual([weightsHash]);
    expect(ranges()).toEqual(['bytes=50000-']);
    expect(bench.incomplete()).toEqual([]);
  });

  test('complete needs no request', async () => {
    leftover('free', weights);
    expect(await bench.fetch([WEIGHTS])).toEqual([weightsHash]);
    expect(ranges()).toEqual([]);
  });

  test.each([
    ['complete', noise(200_000, 3), ['all'], [1000]],
    ['begun', noise(50_000, 3), ['bytes=50000-', 'all'], [1000]],
    ['too long', noise(200_001), ['all'], []],
  ])('with wrong bytes, %s: starts over', async (_, bytes, expected, pauses) => {
    leftover('free', bytes);
    expect(await bench.fetch([WEIGHTS])).toEqual([weightsHash]);
    expect(ranges()).toEqual(expected);
    expect(bench.pauses).toEqual(pauses);
  });
});

describe('bytes that are not those of the listing', () => {
  const { files } = aModel();
  const config = files['config.json']!;

  test.each([
    ['SHA-256', WEIGHTS, weightsHash, noise(200_000, 5)],
    ["git's SHA-1", 'config.json', gitOidOf(config), noise(config.length)],
  ])('a wrong %s is refused, nothing stays', async (_, name, hash, wrong) => {
    bench.hub.fault = (request, response, { server, path }) =>
      server === 'storage' || path.endsWith('config.json')
        ? send(request, response, wrong, '"a"')
        : undefined;
    const found = name === WEIGHTS ? createHash('sha256').update(wrong).digest('hex') : gitOidOf(wrong);
    expect(await refusal(bench.fetch([name]), HubError, 'HUB_HASH')).toBe(
      `${ID}/${name}: expected the hash ${hash}, found ${found}`,
    );
    expect(bench.tree()).toEqual([]);
    expect(bench.pauses).toEqual([]);
    bench.hub.fault = undefined;
    expect(await bench.fetch([name])).toHaveLength(1);
  });

  test('more bytes than listed are refused', async () => {
    bench.hub.fault = storage((request, response) => send(request, response, noise(200_001), '"a"'));
    expect(await refusal(bench.fetch([WEIGHTS]), HubError, 'HUB_HASH')).toBe(
      `${ID}/${WEIGHTS}: expected 200000 bytes, found more`,
    );
    expect(bench.tree()).toEqual([]);
  });

  test('fewer bytes than listed are refused', async () => {
    bench.hub.fault = storage((request, response) => {
      delete request.headers.range;
      return send(request, response, weights.subarray(0, 199_999), '"a"');
    });
    expect(await refusal(bench.fetch([WEIGHTS]), HubError, 'HUB_NETWORK')).toBe(
      `${ID}/${WEIGHTS}: expected 200000 bytes, found 199999`,
    );
    expect(bench.pauses).toHaveLength(4);
  });

  test('the files that came before stay', async () => {
    bench.hub.fault = storage((request, response) => send(request, response, noise(9), '"a"'));
    await refusal(bench.fetch(['config.json', WEIGHTS]), HubError, 'HUB_NETWORK');
    bench.hub.fault = undefined;
    bench.hub.requests();
    await bench.fetch(['config.json']);
    expect(bench.hub.requests().filter((request) => request.includes('resolve'))).toEqual([]);
  });
});

describe('abort', () => {
  test('in a slow body: what has arrived stays, and the next run goes on there', async () => {
    bench.hub.fault = storage((request, response) =>
      send(request, response, weights, '"a"', { stopAt: CUT }),
    );
    const controller = new AbortController();
    const reason = new Error('enough');
    const onProgress = (bytes: number) => {
      if (bytes === CUT) controller.abort(reason);
    };
    await expect(bench.fetch([WEIGHTS], { onProgress, signal: controller.signal })).rejects.toBe(reason);
    expect(bench.incomplete()).toEqual([{ name: `${BLOBS}/${weightsHash}.free.incomplete`, size: CUT }]);
    const [left] = bench.incomplete();
    expect(readFileSync(join(bench.cacheDir, left!.name)).equals(weights.subarray(0, CUT))).toBe(true);
    bench.hub.fault = undefined;
    bench.hub.requests();
    expect(await bench.fetch([WEIGHTS])).toEqual([weightsHash]);
    expect(ranges()).toEqual([`bytes=${CUT}-`]);
  });

  test('before, while the hub thinks, and between two attempts', async () => {
    await expect(bench.open({ signal: AbortSignal.abort('before') })).rejects.toBe('before');
    expect(bench.hub.requests()).toEqual([]);
    const controller = new AbortController();
    bench.hub.fault = (_, response) => {
      controller.abort('meanwhile');
      return response;
    };
    await expect(bench.open({ signal: controller.signal })).rejects.toBe('meanwhile');
    // who has stopped waiting does not want the copy either
    bench.hub.fault = undefined;
    await bench.fetch(['config.json']);
    const once = new AbortController();
    bench.hub.fault = (_, response) => {
      once.abort('meanwhile');
      return response;
    };
    await expect(bench.open({ signal: once.signal })).rejects.toBe('meanwhile');
    expect(bench.pauses).toEqual([]);
    rmSync(bench.cacheDir, { recursive: true });
    const another = new AbortController();
    bench.hub.fault = (_, response) => refuse(response, 503);
    const opened = bench.open({
      signal: another.signal,
      // of its own accord it would wait a second
      pause: undefined,
    });
    setTimeout(() => another.abort('in between'), 30);
    await expect(opened).rejects.toBe('in between');
  });

  test('of one opened repository: its next fetch too', async () => {
    const controller = new AbortController();
    const repository = await bench.open({ signal: controller.signal });
    controller.abort('over');
    await expect(repository.fetch(['config.json'])).rejects.toBe('over');
    expect(bench.tree()).toEqual([]);
  });
});

test('a server that falls silent is left, and asked again', async () => {
  let silent = true;
  bench.hub.fault = storage((request, response) => {
    const stopAt = silent ? CUT : undefined;
    silent = false;
    return send(request, response, weights, '"a"', { stopAt });
  });
  expect(await bench.fetch([WEIGHTS], { timeoutMs: 300 })).toEqual([weightsHash]);
  expect(ranges()).toEqual(['all', `bytes=${CUT}-`]);
  bench.hub.fault = (_, response) => response;
  const { away } = await bench.open({ timeoutMs: 50 });
  expect(away?.message).toBe(`${ID}@main: expected an answer of ${bench.hub.url}, found nothing for 0.05 s`);
});

test('two at once both have the file', async () => {
  const [first, second] = await Promise.all([bench.fetch([WEIGHTS]), bench.fetch([WEIGHTS])]);
  expect([first, second]).toEqual([[weightsHash], [weightsHash]]);
  expect(bench.tree().filter((name) => name.includes(COMMIT) || name.includes('blobs'))).toEqual([
    `${BLOBS}/${weightsHash}`,
    `models--someone--a-model/snapshots/${COMMIT}/${WEIGHTS}`,
    `models--someone--a-model/trees/${COMMIT}.json`,
  ]);
});

import { describe, expect, test } from '@jest/globals';
import { HubError } from '../../src/errors.js';
import { serve } from '../support/loopback.js';
import { refusal } from '../support/refusal.js';
import { refuse } from './server.js';
import { Bench, COMMIT, ID, WEIGHTS, weightsHash } from './support.js';

const bench = new Bench();
const TOKEN = 'hf_secret';
const withToken = (more: NodeJS.ProcessEnv = {}) => ({ env: bench.env({ HF_TOKEN: TOKEN, ...more }) });

/** The message of a refusal, which must not tell the token, nor its stack or causes. */
async function secretive(call: Promise<unknown>, code: string): Promise<string> {
  const message = await refusal(call, HubError, code);
  let error: unknown = await call.catch((thrown: unknown) => thrown);
  for (; error instanceof Error; error = error.cause) {
    expect(`${error.message}\n${error.stack}\n${JSON.stringify(error)}`).not.toContain(TOKEN);
  }
  return message;
}

describe('the token', () => {
  test("is the hub's alone: the storage is not told it", async () => {
    bench.hub.models[ID]!.token = TOKEN;
    expect(await bench.fetch([WEIGHTS, 'config.json'], withToken())).toHaveLength(2);
    expect(bench.hub.seen.map(({ server, authorization }) => [server, authorization])).toStrictEqual([
      ['hub', `Bearer ${TOKEN}`],
      ['hub', `Bearer ${TOKEN}`],
      ['hub', `Bearer ${TOKEN}`],
      ['hub', `Bearer ${TOKEN}`],
      ['storage', undefined],
      ['hub', `Bearer ${TOKEN}`],
    ]);
  });

  test('nor whom a page of the listing or a redirect of the API leads to', async () => {
    const elsewhere: (string | undefined)[] = [];
    const other = await serve((request, response) => {
      elsewhere.push(request.headers.authorization);
      response.end('[]');
    });
    bench.hub.fault = (_, response, { path }) => {
      if (!path.includes('/tree/')) return undefined;
      return response.writeHead(200, { link: `<${other.url}/next>; rel="next"` }).end('[]');
    };
    await bench.open(withToken());
    bench.hub.fault = (_, response) => response.writeHead(307, { location: `${other.url}/api` }).end();
    await refusal(bench.open(withToken()), HubError, 'HUB_ANSWER');
    other.close();
    expect(elsewhere).toStrictEqual([undefined, undefined]);
  });

  test('stays where a renamed model leads', async () => {
    bench.hub.models['new/name'] = { ...bench.hub.models[ID]!, token: TOKEN };
    bench.hub.fault = (request, response, { path }) => {
      if (!path.includes(ID)) return undefined;
      return response.writeHead(307, { location: request.url!.replace(ID, 'new/name') }).end();
    };
    expect(await bench.fetch([WEIGHTS], withToken())).toEqual([weightsHash]);
  });

  test('without one none is sent', async () => {
    await bench.fetch([WEIGHTS]);
    expect(new Set(bench.hub.seen.map(({ authorization }) => authorization))).toEqual(new Set([undefined]));
  });
});

describe('what the hub refuses', () => {
  test('a model that is private, gated or not there', async () => {
    const message = (code: string, options = {}, id = 'no/such') => secretive(bench.open(options, id), code);
    expect(await message('HUB_NOT_FOUND')).toBe(
      `no/such: expected a public model on ${bench.hub.url}, found status 401: it is private, gated or not there; ` +
        'a token in HF_TOKEN opens those of your account',
    );
    expect(await message('HUB_NOT_FOUND', withToken())).toBe(
      `no/such: expected a model on ${bench.hub.url}, found none that the token of HF_TOKEN may read`,
    );
    expect(await message('HUB_NOT_FOUND', {}, `${ID}@v2`)).toBe(
      `${ID}: expected the revision "v2", found none of that name`,
    );
    expect(bench.pauses).toEqual([]);
  });

  test('a token that the hub rejects', async () => {
    bench.hub.fault = (_, response) => refuse(response, 401);
    expect(await secretive(bench.open(withToken()), 'HUB_TOKEN')).toBe(
      `HF_TOKEN: expected a token that ${bench.hub.url} accepts, found one that it refuses`,
    );
  });

  test('the files of a gated model', async () => {
    bench.hub.models[ID]!.gated = true;
    const page = `${bench.hub.url}/${ID}`;
    expect(await secretive(bench.fetch(['config.json']), 'HUB_GATED')).toBe(
      `${ID}/config.json: expected a model open to you, found a gated one (401); ` +
        `accept its terms at ${page} and give a token in HF_TOKEN`,
    );
    expect(await secretive(bench.fetch(['config.json'], withToken()), 'HUB_GATED')).toBe(
      `${ID}/config.json: expected a model open to you, found a gated one (403); ` +
        `accept its terms at ${page} with the account of the token of HF_TOKEN`,
    );
    expect(bench.tree()).toEqual([]);
  });

  test('a file that is not in the listing is not asked for', async () => {
    const repository = await bench.open();
    bench.hub.requests();
    for (const name of ['model.bin', '../config.json', '/etc/passwd', '']) {
      expect(await refusal(repository.fetch(['config.json', name]), HubError, 'HUB_NOT_FOUND')).toBe(
        `${ID}: expected the file "${name}", found "config.json", "${WEIGHTS}", ` +
          '"folder/with a space #1.txt", "empty.txt"',
      );
    }
    expect(bench.hub.requests()).toEqual([]);
    expect(bench.tree()).toEqual([]);
  });

  test('a file that is in the listing and not there', async () => {
    bench.hub.fault = (_, response, { path }) =>
      path.includes('/resolve/') ? refuse(response, 404, 'EntryNotFound') : undefined;
    expect(await secretive(bench.fetch([WEIGHTS], withToken()), 'HUB_NOT_FOUND')).toBe(
      `${ID}/${WEIGHTS}: expected the file, found none of that name`,
    );
  });

  test('an answer that means nothing here', async () => {
    bench.hub.fault = (_, response) => refuse(response, 418);
    expect(await secretive(bench.open(withToken()), 'HUB_ANSWER')).toBe(
      `${ID}@main: expected status 200, found 418`,
    );
  });
});

describe('what passes', () => {
  test('503 three times: growing pauses', async () => {
    let left = 3;
    bench.hub.fault = (_, response) => (left-- > 0 ? refuse(response, 503) : undefined);
    await bench.open();
    expect(bench.pauses).toEqual([1000, 2000, 4000]);
  });

  test('503 for ever: an end', async () => {
    bench.hub.fault = (_, response) => refuse(response, 503);
    expect(await secretive(bench.open(withToken()), 'HUB_NETWORK')).toContain(
      'expected an answer, found status 503',
    );
    expect(bench.hub.requests()).toHaveLength(5);
    expect(bench.pauses).toEqual([1000, 2000, 4000, 8000]);
  });

  test.each([
    ['in seconds', () => '7', [7000, 7000]],
    ['as a date', () => new Date(Date.now() + 7500).toUTCString(), [7000, 7000]],
    ['shorter than ours', () => '1', [1000, 2000]],
    ['unreadable', () => 'soon', [1000, 2000]],
  ])('429, with a Retry-After %s', async (_, header, pauses) => {
    let left = 2;
    bench.hub.fault = (_request, response) => {
      if (left-- <= 0) return undefined;
      response.setHeader('retry-after', header());
      return refuse(response, 429);
    };
    expect(await bench.fetch([WEIGHTS])).toEqual([weightsHash]);
    // to the second, as a date has it
    expect(bench.pauses.map((ms, i) => Math.abs(ms - pauses[i]!) < 1000)).toEqual([true, true]);
  });

  test('429 with a longer wait than anybody would sit through', async () => {
    bench.hub.fault = (_, response) => {
      response.setHeader('retry-after', '300');
      return refuse(response, 429);
    };
    expect(await secretive(bench.open(withToken()), 'HUB_RATE')).toBe(
      `${ID}@main: expected an answer, found too many requests (429); it asks to wait 300 s; ` +
        `there is no copy in ${bench.cacheDir}/models--someone--a-model`,
    );
    expect(bench.hub.requests()).toHaveLength(1);
  });

  test('an address of the storage that has expired: the hub gives another', async () => {
    let expired = true;
    bench.hub.fault = (_, response, { server }) => {
      if (server === 'hub' || !expired) return undefined;
      expired = false;
      return refuse(response, 403);
    };
    expect(await bench.fetch([WEIGHTS])).toEqual([weightsHash]);
    expect(bench.hub.requests().slice(3)).toEqual([
      `hub /${ID}/resolve/${COMMIT}/${WEIGHTS}`,
      `storage /${weightsHash}`,
      `hub /${ID}/resolve/${COMMIT}/${WEIGHTS}`,
      `storage /${weightsHash}`,
    ]);
  });

  test('a connection that is reset before an answer, and in the middle of one', async () => {
    let left = 2;
    bench.hub.fault = (request, response) => {
      if (left-- <= 0) return undefined;
      if (left === 1) request.socket.destroy();
      else response.write('{"sha":', () => response.destroy());
      return response;
    };
    await bench.open();
    expect(bench.pauses).toEqual([1000, 2000]);
  });
});

describe('redirects', () => {
  test('that never end are refused', async () => {
    bench.hub.fault = (request, response) => response.writeHead(302, { location: request.url! }).end();
    expect(await secretive(bench.open(withToken()), 'HUB_ANSWER')).toBe(
      `${ID}@main: expected at most 5 redirects, found more`,
    );
    expect(bench.hub.requests()).toHaveLength(6);
  });

  test.each([
    ['file:///etc/passwd', '"file:///etc/passwd"'],
    ['data:,a', '"data URL"'],
    ['http://', 'something else'],
    ['http://me:secret@127.0.0.1/', '"http://127.0.0.1/"'],
    ['//me:secret@127.0.0.1/a?signature=secret', '"http://127.0.0.1/a"'],
  ])('to %s', async (location, shown) => {
    bench.hub.fault = (_, response) => response.writeHead(302, { location }).end();
    expect(await secretive(bench.open(withToken()), 'HUB_ANSWER')).toBe(
      `${ID}@main: expected a redirect to http://, found ${shown}`,
    );
  });

  test('from https to http', async () => {
    const { fetch } = globalThis;
    globalThis.fetch = async () => new Response(null, { status: 302, headers: { location: bench.hub.url } });
    const opened = bench.open(withToken({ HF_ENDPOINT: 'https://hub.example' }));
    const message = await secretive(opened, 'HUB_ANSWER').finally(() => {
      globalThis.fetch = fetch;
    });
    expect(message).toBe(`${ID}@main: expected a redirect to https://, found "${bench.hub.url}/"`);
    expect(bench.hub.requests()).toEqual([]);
  });
});

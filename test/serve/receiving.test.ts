import { afterEach, describe, expect, jest, test } from '@jest/globals';
import { Pace } from '../../src/serve/pace.js';
import { Problem } from '../../src/serve/problem.js';
import { Account, Receiving, type ReceivingLimits } from '../../src/serve/receiving.js';

afterEach(() => {
  jest.restoreAllMocks();
});

const never = new AbortController().signal;
const turn = () => new Promise((resolve) => setTimeout(resolve, 5));

/** A body whose parts are sent one by one. */
function sender(headers: Record<string, string> = {}) {
  let controller!: ReadableStreamDefaultController<Uint8Array>;
  const body = new ReadableStream<Uint8Array>({
    start: (one) => {
      controller = one;
    },
  });
  const request = new Request('http://here/', {
    method: 'POST',
    body,
    headers,
    duplex: 'half',
  } as RequestInit);
  return {
    request,
    send: (bytes: number) => controller.enqueue(new Uint8Array(bytes).fill(7)),
    end: () => controller.close(),
  };
}

/** What became of a body: its length, a code, or nothing yet. */
function watched(receiving: Receiving, { request }: ReturnType<typeof sender>, maxBytes = 1e6) {
  const account = new Account(receiving);
  const state: { account: Account; result?: number | string } = { account };
  account.receive(request, maxBytes, never).then(
    (bytes) => {
      state.result = bytes.every((byte) => byte === 7) ? bytes.length : 'other bytes';
    },
    (error) => {
      state.result = error instanceof Problem ? `${error.status} ${error.code}` : String(error);
    },
  );
  return state;
}

const receivingOf = (limits: ReceivingLimits, isStopping = () => false) => new Receiving(limits, isStopping);

describe('a body', () => {
  test.each([[[1]], [[65_536, 1]], [[100_000, 200_000, 3]], [Array(5000).fill(1)]])(
    'in parts, as %j, has all its bytes, which are counted until the account is closed',
    async (parts) => {
      const receiving = receivingOf({});
      const body = sender();
      const state = watched(receiving, body);
      for (const part of parts) body.send(part);
      body.end();
      while (state.result === undefined) await turn();
      expect(state.result).toBe(parts.reduce((a: number, b: number) => a + b));
      expect(receiving.coming.size).toBe(0);
      expect(receiving.bytes).toBeGreaterThanOrEqual(state.result as number);
      state.account.close();
      expect(receiving.bytes).toBe(0);
    },
  );

  test('that says it is longer than it is takes no more than what came', async () => {
    const receiving = receivingOf({});
    const body = sender({ 'content-length': '900000' });
    watched(receiving, body);
    body.send(10);
    await turn();
    expect(receiving.bytes).toBe(65_536);
  });

  test('of more than `maxBytes` is 413, and its bytes are given back', async () => {
    const receiving = receivingOf({});
    const body = sender();
    const state = watched(receiving, body, 70_000);
    body.send(70_000);
    await turn();
    expect(state.result).toBeUndefined();
    body.send(1);
    await turn();
    expect(state.result).toBe('413 BODY_TOO_LARGE');
    expect(receiving.bytes).toBe(0);
  });
});

describe('where there is no room', () => {
  test('for another body, the one that is furthest behind makes place', async () => {
    const receiving = receivingOf({ bodies: 2 });
    const [silent, slow, good] = [sender(), sender(), sender()];
    const states = [silent, slow].map((one) => watched(receiving, one));
    await turn();
    slow.send(10_000);
    await turn();
    const state = watched(receiving, good);
    good.send(100);
    good.end();
    await turn();
    expect([...states, state].map(({ result }) => result)).toEqual(['503 OVERLOAD', undefined, 100]);
  });

  test('for bytes, bodies make place that are further behind, and those that sent all keep theirs', async () => {
    const receiving = receivingOf({ bytes: 300_000 });
    const [whole, silent, good, late] = [sender(), sender(), sender(), sender()];
    const states = [whole, silent].map((one) => watched(receiving, one));
    whole.send(150_000);
    whole.end();
    silent.send(100_000);
    await new Promise((resolve) => setTimeout(resolve, 20));
    states.push(watched(receiving, good));
    good.send(120_000);
    good.end();
    await turn();
    states.push(watched(receiving, late));
    late.send(100_000);
    await turn();
    expect(states.map(({ result }) => result)).toEqual([150_000, '503 OVERLOAD', 120_000, '503 OVERLOAD']);
    for (const { account } of states) account.close();
    expect(receiving.bytes).toBe(0);
  });
});

test('what is fetched takes the place of a body that is behind, and none that is not there', async () => {
  const receiving = receivingOf({ bytes: 100_000 });
  const body = sender();
  const state = watched(receiving, body);
  body.send(60_000);
  await turn();
  new Account(receiving).take(90_000);
  await turn();
  expect(state.result).toBe('503 OVERLOAD');
  expect(() => new Account(receiving).take(20_000)).toThrow(expect.objectContaining({ code: 'OVERLOAD' }));
});

test('a pause of 10 s is too long, and 1024 bytes buy a second', () => {
  const now = jest.spyOn(performance, 'now').mockReturnValue(0);
  const pace = new Pace();
  expect(pace.end).toBe(10_000);
  now.mockReturnValue(8000);
  pace.add(1024);
  expect(pace.end).toBe(11_000);
  pace.add(1e6);
  expect(pace.end).toBe(18_000);
});

test('a body that is behind its pace is 408, and all are refused when the service stops', async () => {
  let isStopping = false;
  const receiving = receivingOf({}, () => isStopping);
  const [slow, other] = [sender(), sender()];
  const clock = performance.now.bind(performance);
  const now = jest.spyOn(performance, 'now').mockImplementation(() => clock());
  const state = watched(receiving, slow);
  await turn();
  now.mockImplementation(() => clock() + 10_000);
  const later = watched(receiving, other);
  while (state.result === undefined) await turn();
  expect([state.result, later.result]).toEqual(['408 BODY_SLOW', undefined]);
  isStopping = true;
  while (later.result === undefined) await turn();
  expect(later.result).toBe('503 STOPPING');
});

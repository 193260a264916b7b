import type { Redis } from 'ioredis';

/** The state of a part: waiting, active, done, failed, missing, or incomplete. */
export type PartState = 'w' | 'a' | 'c' | 'f' | '-' | '!';

/** A queue at one moment. */
export interface Inspection {
  /** A `PartState` for each part of the list. */
  readonly states: string;
  /** The same for jobs that are not parts of the list. */
  readonly others: string;
  /** The id of one such job. */
  readonly other: string | undefined;
  /** Jobs with an id that is not fqvit's. */
  readonly foreign: number;
  /** Finished images, from the results of their parts. */
  readonly images: number;
}

/** BullMQ's lists and sorted sets of ids. */
export const LISTS = ['wait', 'paused', 'active'] as const;
export const SETS = ['delayed', 'prioritized', 'waiting-children', 'completed', 'failed'] as const;

/**
 * Atomic: between two commands, a job that moves on would look lost or doubled. A job is its hash
 * and its id in one of the lists; Redis may have dropped either. Meanwhile Redis answers nobody
 * else: 10 ms for 5,000 parts, seconds for 10^6.
 */
const SCRIPT = `
local prefix, parts = ARGV[1], tonumber(ARGV[2])
local states, others, other, foreign, images = {}, {}, '', 0, 0
local function see(letter, ids)
  for _, id in ipairs(ids) do
    local number = tonumber(string.match(id, '^part%-(%d%d%d%d%d%d)$'))
    if not number then foreign = foreign + 1
    elseif number < parts then states[number + 1] = states[number + 1] and '!' or letter
    else others[#others + 1] = letter; other = id end
  end
end
local function list(letter, key) see(letter, redis.call('LRANGE', prefix .. key, 0, -1)) end
local function set(letter, key) see(letter, redis.call('ZRANGE', prefix .. key, 0, -1)) end
list('w', 'wait'); list('w', 'paused'); list('a', 'active')
set('w', 'delayed'); set('w', 'prioritized'); set('w', 'waiting-children'); set('c', 'completed'); set('f', 'failed')
for n = 1, parts do
  local key = prefix .. string.format('part-%06d', n - 1)
  local state = states[n]
  if state == 'c' then
    local done = string.match(redis.call('HGET', key, 'returnvalue') or '', '^{"images":(%d+),"refused":%d+}$')
    if done then images = images + tonumber(done) else state = '!' end
  elseif redis.call('HSTRLEN', key, 'data') == 0 then
    state = (state or redis.call('EXISTS', key) == 1) and '!' or '-'
  end
  states[n] = state or '!'
end
return {table.concat(states), table.concat(others), other, foreign, string.format('%.0f', images)}
`;

/** @param prefix of the queue's keys. @param parts of its list */
export async function inspect(client: Redis, prefix: string, parts: number): Promise<Inspection> {
  const found = await client.eval(SCRIPT, 0, prefix, parts);
  const [states, others, other, foreign, images] = found as [string, string, string, number, string];
  return { states, others, other: other || undefined, foreign, images: Number(images) };
}

/** How many parts, or other jobs, are in one of the states. */
export function countStates(states: string, ...wanted: PartState[]): number {
  let count = 0;
  for (const state of states) if (wanted.includes(state as PartState)) count++;
  return count;
}

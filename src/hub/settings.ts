/** The hub's environment variables, with the names and defaults of its own Python library. */

import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { HubError } from '../errors.js';
import { endpointFault } from '../platform/address.js';

export interface Token {
  readonly value: string;
  /** The variable or file that contains the token, for messages. */
  readonly from: string;
}

interface HubSettings {
  /** Address without a slash at the end. */
  readonly endpoint: string;
  readonly token: Token | undefined;
  readonly cacheDir: string;
  /** No request may be made. */
  readonly offline: boolean;
}

/**
 * Reads `HF_ENDPOINT`, `HF_TOKEN`, `HF_TOKEN_PATH`, `HF_HOME`, `HF_HUB_CACHE` and `HF_HUB_OFFLINE`.
 * An empty variable counts as absent.
 *
 * @throws HubError `HUB_ENDPOINT`, `HUB_TOKEN`
 */
export async function readSettings(env: NodeJS.ProcessEnv): Promise<HubSettings> {
  const home = env.HF_HOME || join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'huggingface');
  return {
    endpoint: checkEndpoint(env.HF_ENDPOINT || 'https://huggingface.co'),
    token: await readToken(env, home),
    cacheDir: env.HF_HUB_CACHE || join(home, 'hub'),
    offline: /^(1|on|yes|true)$/i.test(env.HF_HUB_OFFLINE ?? ''),
  };
}

function checkEndpoint(text: string): string {
  const found = endpointFault(text);
  if (found === undefined) return text.replace(/\/+$/, '');
  throw new HubError('HUB_ENDPOINT', `HF_ENDPOINT: expected an http or https address, found ${found}`);
}

async function readToken(env: NodeJS.ProcessEnv, home: string): Promise<Token | undefined> {
  const path = env.HF_TOKEN_PATH || join(home, 'token');
  const variable = env.HF_TOKEN?.trim();
  // There is no file, or this user may not read it: no token.
  const value = variable || (await readFile(path, 'utf8').catch(() => '')).trim();
  const from = variable ? 'HF_TOKEN' : path;
  if (value === '') return undefined;
  // The error of an invalid header would repeat the token.
  if (!/^[\x21-\x7e]+$/.test(value)) {
    throw new HubError('HUB_TOKEN', `${from}: expected a token of visible ASCII characters, found others`);
  }
  return { value, from };
}

/** Finds the tensors among everything else that training scripts save. */

import { CheckpointError } from '../../errors.js';
import { quote } from '../../text/quote.js';
import { MAX_KEYS } from '../safetensors/header.js';
import { StoredTensor, UnsupportedTensor } from './globals.js';

type Stored = StoredTensor | UnsupportedTensor;

/** Nesting of dictionaries: Composer nests the state dict in `state` and `model`. */
const MAX_DEPTH = 4;

/**
 * Characters of a name with its prefix. The keys of the enclosing dictionaries become a prefix of
 * every tensor name in them, so one long key in the file could be repeated many times.
 */
const MAX_NAME = 1000;

/** Maximum number of keys in a message. */
const LISTED = 5;

/**
 * Finds the tensors of a checkpoint, at the top level and in nested dictionaries, before they are
 * built. The keys of the dictionaries become a prefix of the names, as in
 * `state_dict.blocks.0.norm1.weight`.
 *
 * @param root the value of the pickle
 * @returns the tensors, and the keys of the dictionaries that contain them
 * @throws CheckpointError `CHECKPOINT_FORMAT` for no tensors, too many, or two with one name
 */
export function findTensors(
  root: unknown,
  file: string,
): { stored: ReadonlyMap<string, Stored>; nested: ReadonlySet<string> } {
  const refuse = (message: string): never => {
    throw new CheckpointError('CHECKPOINT_FORMAT', `${file}: ${message}`);
  };
  const stored = new Map<string, Stored>();
  const nested = new Set<string>();
  const seen = new Set<unknown>();
  const walk = (dictionary: unknown, path: string, depth: number): void => {
    if (!(dictionary instanceof Map) || depth > MAX_DEPTH || seen.has(dictionary)) return;
    seen.add(dictionary);
    for (const [key, value] of dictionary as Map<string, unknown>) {
      const name = path + key;
      if (!(value instanceof StoredTensor || value instanceof UnsupportedTensor)) {
        walk(value, `${name}.`, depth + 1);
        continue;
      }
      if (depth > 0 && name.length > MAX_NAME) {
        refuse(
          `tensor ${quote(name)}: expected a name of at most ${MAX_NAME} characters with its prefix, found more`,
        );
      }
      if (stored.has(name)) refuse(`expected one tensor ${quote(name)}, found two`);
      if (stored.size === MAX_KEYS) refuse(`expected at most ${MAX_KEYS} tensors, found more`);
      stored.set(name, value);
      if (depth > 0) nested.add(path.slice(0, -1));
    }
  };
  walk(root, '', 0);
  if (stored.size === 0) {
    const keys = root instanceof Map ? [...root.keys()] : [];
    const found = keys.length > 0 ? keys.slice(0, LISTED).map(quote).join(', ') : 'no names';
    refuse(
      `expected a state dict (tensors by name, at the top level or in dictionaries), found ${found}${keys.length > LISTED ? ', ...' : ''}`,
    );
  }
  return { stored, nested };
}

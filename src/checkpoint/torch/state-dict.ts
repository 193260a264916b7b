/** Where a checkpoint keeps tensors among what else training scripts save. */

import { CheckpointError } from '../../errors.js';
import { MAX_KEYS, quoted } from '../safetensors-header.js';
import { StoredTensor, UnsupportedTensor } from './globals.js';

type Stored = StoredTensor | UnsupportedTensor;

/** Dictionaries within dictionaries: Composer has `state`, `model` and the state dict. */
const MAX_DEPTH = 4;

/** The keys on the way to a dictionary stand before the name of every tensor in it: a name that the file has once may be there many times. */
const MAX_NAME = 1000;

/** As many keys as a message lists. */
const LISTED = 5;

/**
 * The tensors of a checkpoint, at the top and in dictionaries, before they are built. The keys on the way stand before a name:
 * `state_dict.blocks.0.norm1.weight`.
 *
 * @param root what the pickle holds
 * @returns the tensors, and the keys of the dictionaries that they are in
 * @throws CheckpointError `CHECKPOINT_FORMAT` where there are none, too many, or two of one name
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
          `tensor ${quoted(name)}: expected at most ${MAX_NAME} characters with the keys before them, found more`,
        );
      }
      if (stored.has(name)) refuse(`expected one tensor ${quoted(name)}, found two`);
      if (stored.size === MAX_KEYS) refuse(`expected at most ${MAX_KEYS} tensors, found more`);
      stored.set(name, value);
      if (depth > 0) nested.add(path.slice(0, -1));
    }
  };
  walk(root, '', 0);
  if (stored.size === 0) {
    const keys = root instanceof Map ? [...root.keys()] : [];
    const found = keys.length > 0 ? keys.slice(0, LISTED).map(quoted).join(', ') : 'no names';
    refuse(
      `expected a state dict: tensors by name, at the top or in dictionaries; found ${found}${keys.length > LISTED ? ', ...' : ''}`,
    );
  }
  return { stored, nested };
}

/** Where a checkpoint keeps the weights among what else training scripts save, and what they put before the names. */

import { CheckpointError } from '../../errors.js';
import { quoted } from '../safetensors-header.js';
import { StoredTensor, UnsupportedTensor } from './globals.js';

/** A state dict by names, before its tensors are built. */
type StateDict = Map<string, StoredTensor | UnsupportedTensor>;

/**
 * Keys under which scripts nest a state dict, the one to prefer first: facebook's DeiT and MAE and Microsoft's Swin;
 * timm and Lightning; the example of PyTorch's documentation; DINO; averaged weights where there are no others.
 */
const NESTED_KEYS = [
  ...['model', 'state_dict', 'model_state_dict', 'teacher', 'student'],
  ...['model_ema', 'state_dict_ema'],
];

/** What wrappers put before every name: DataParallel, Lightning and DINO, torch.compile. */
const PREFIXES = ['module.', 'model.', 'backbone.', '_orig_mod.'];

/** As many wrappers as are looked for, one within another. */
const MAX_WRAPPERS = 4;

/** As many keys as a message lists. */
const LISTED = 5;

/**
 * The state dict of a checkpoint: nested under a known key, or the whole.
 *
 * @param root what the pickle holds
 * @throws CheckpointError `CHECKPOINT_FORMAT` where there is no tensor in any of these places
 */
export function findStateDict(root: unknown, file: string): StateDict {
  const outer = root instanceof Map ? root : new Map<string, unknown>();
  for (const value of [...NESTED_KEYS.map((key) => outer.get(key)), outer]) {
    const tensors = tensorsOf(value);
    if (tensors.size > 0) return withoutPrefixes(tensors);
  }
  const keys = [...outer.keys()];
  const found = keys.length > 0 ? keys.slice(0, LISTED).map(quoted).join(', ') : 'no names';
  throw new CheckpointError(
    'CHECKPOINT_FORMAT',
    `${file}: expected a state dict: tensors by name, at the top or under ${NESTED_KEYS.join(', ')}; ` +
      `found ${found}${keys.length > LISTED ? ', ...' : ''}`,
  );
}

/** What else stands in a state dict, such as a version, is no weight. */
function tensorsOf(value: unknown): StateDict {
  const tensors: StateDict = new Map();
  if (!(value instanceof Map)) return tensors;
  for (const [name, tensor] of value) {
    if (tensor instanceof StoredTensor || tensor instanceof UnsupportedTensor) tensors.set(name, tensor);
  }
  return tensors;
}

function withoutPrefixes(tensors: StateDict): StateDict {
  let named = [...tensors];
  for (let i = 0; i < MAX_WRAPPERS; i++) {
    const prefix = PREFIXES.find((known) =>
      named.every(([name]) => name.startsWith(known) && name !== known),
    );
    if (prefix === undefined) break;
    named = named.map(([name, tensor]) => [name.slice(prefix.length), tensor]);
  }
  return new Map(named);
}

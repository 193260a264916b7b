/** Chooses one model in a file and gives its tensors canonical names. */

import { CheckpointError, UsageError } from '../../errors.js';
import { formatValue } from '../../text/format-value.js';
import { quote } from '../../text/quote.js';
import { missingOperation } from '../float/missing-operations.js';
import { findWeightSets, hasStem, type WeightSet } from '../float/weight-sets.js';
import type { Tensor } from '../safetensors/safetensors.js';
import { isHead, SCHEMES } from './scheme-table.js';

/** Keys of weights in training checkpoints, in timm's order (`load_state_dict`): averages first. */
const TIMM_KEYS = ['state_dict_ema', 'model_ema', 'state_dict', 'model'];

/** Modules of a model that are used only in training. */
const TRAINING = /^(criterion|\w*loss\w*|\w*metrics?|n_averaged)(\.|$)/;

/** Parameters of an adapter, which modifies the weights in another file. */
const ADAPTER = /(^|\.)(lora|ia3|hada|lokr|oft|boft|vera)_\w+(\.|$)/;

/** Bounds the work: each name is compared with the prefix of every model. */
const MAX_SETS = 100;

/** Maximum number of names in a message. */
const LISTED = 5;

/** The tensors of one model in a file, under canonical names. */
export interface NamedTensors {
  readonly family: 'vit' | 'swin';
  /** By canonical names; `name` of each tensor is still the file's name. */
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** Tensors with the backbone's prefix, with buffers, by the file's names without the prefix. */
  readonly own: ReadonlyMap<string, Tensor>;
  /** Names of tensors in the model that the scheme does not know. */
  readonly unknown: readonly string[];
  /** The name that the file uses, or would use, for a canonical name. */
  readonly spelled: (canonical: string) => string;
  /** If the file holds several models: which one this is. */
  readonly weights: string | undefined;
  /** One sentence each. */
  readonly warnings: readonly string[];
}

interface NamedOptions {
  readonly file: string;
  /** Which model to choose, if there are several. */
  readonly weights?: string | undefined;
  /** Keys of nested dictionaries in a PyTorch checkpoint: prefixes of their tensors' names. */
  readonly nested?: ReadonlySet<string> | undefined;
}

/**
 * Finds a model among the tensors and translates its names.
 *
 * The scheme must know every tensor inside the model (with the prefix of its backbone or head),
 * since an unknown tensor could change what the model computes. Unknown tensors are returned as
 * `unknown`, except those used only in training. Tensors outside the model are left out with a
 * warning. A head of more than one layer is left out too, and the model then has no head.
 *
 * @throws CheckpointError `CHECKPOINT_SCHEME` if no scheme has these names, or two tensors have one
 *   canonical name; `CHECKPOINT_EXTRA` for a possible layer after the head; `CHECKPOINT_WEIGHTS`
 *   for several complete models; `CHECKPOINT_ADAPTER` for the weights of an adapter
 * @throws UsageError `MODEL_OPTION` if `weights` names none of the models
 */
export function canonicalNames(tensors: ReadonlyMap<string, Tensor>, options: NamedOptions): NamedTensors {
  const { file } = options;
  const names = [...tensors.keys()];
  const adapter = names.find((name) => ADAPTER.test(name));
  if (adapter !== undefined) {
    throw new CheckpointError(
      'CHECKPOINT_ADAPTER',
      `${file}: expected a whole model, found the weights of an adapter, ${quote(adapter)}: merge it into its model first`,
    );
  }
  const warnings: string[] = [];
  const { set, others, weights } = chosenSet(names, options, warnings);
  const { scheme, prefix, headPrefix, space, twins } = set;
  if (twins) {
    const [canonical, one, other] = twins;
    throw new CheckpointError(
      'CHECKPOINT_SCHEME',
      `${file}: expected one tensor for ${canonical}, found ${quote(one)} and ${quote(other)}`,
    );
  }
  const found = new Map<string, Tensor>();
  for (const [canonical, { name }] of set.tensors) found.set(canonical, tensors.get(name)!);
  const taken = new Set([...set.tensors.values()].map(({ name }) => name));
  const hasHead = [...set.tensors.keys()].some(isHead);
  const ofOthers = others.map((other) => (other.space === space ? other.prefix : other.space));
  const own = new Map<string, Tensor>();
  const unknown: string[] = [];
  const left: string[] = [];
  for (const [name, tensor] of tensors) {
    const inner = name.startsWith(prefix) ? name.slice(prefix.length) : undefined;
    if (inner !== undefined) own.set(inner, tensor);
    if (taken.has(name) || (inner !== undefined && scheme.buffers.test(inner))) continue;
    const local = name.startsWith(space) ? name.slice(space.length) : undefined;
    // Another model may contain this one. Inside this one, only deeper prefixes belong to others.
    const isOthers = (other: string) =>
      name.startsWith(other) && (local === undefined || !space.startsWith(other));
    if (ofOthers.some(isOthers)) continue;
    const isLeft =
      local === undefined ||
      TRAINING.test(local) ||
      scheme.unused?.test(inner ?? local) ||
      (!hasHead && scheme.headModules.has(local.split('.', 1)[0]!));
    (isLeft ? left : unknown).push(name);
  }
  refuseSecondHead(
    found.get('head.weight'),
    left.filter((name) => !name.startsWith(space)),
    tensors,
    file,
  );
  if (left.length > 0) {
    const headless = hasHead ? '' : '; the model has no head, so it gives features but no classes';
    warnings.push(`tensors outside the model are ignored (${left.length}): ${listed(left)}${headless}`);
  }
  const usual = new Set([...set.tensors.values()].map(({ pair }) => pair));
  const spelled = (canonical: string) => {
    const used = set.tensors.get(canonical)?.name;
    const before = isHead(canonical) ? headPrefix : prefix;
    const pairs = scheme.pairs.filter((pair) => pair.spelled(canonical) !== undefined);
    const pair = pairs.find((one) => usual.has(one)) ?? pairs[0];
    return used ?? (pair ? before + pair.spelled(canonical) : canonical);
  };
  return { family: scheme.family, tensors: found, own, unknown, spelled, weights, warnings };
}

/** Refuses a layer that reads the logits, such as `Linear(1000, n)` after a classifier. */
function refuseSecondHead(
  head: Tensor | undefined,
  around: readonly string[],
  tensors: ReadonlyMap<string, Tensor>,
  file: string,
): void {
  const classes = head?.shape[0];
  const second = around.find((name) => {
    const { shape } = tensors.get(name)!;
    return name.endsWith('weight') && shape.length === 2 && shape[1] === classes && !TRAINING.test(name);
  });
  if (second === undefined) return;
  throw new CheckpointError(
    'CHECKPOINT_EXTRA',
    `${file}: expected ${quote(head!.name)} to be the last layer, found ${quote(second)}, which seems to read its logits: ` +
      'a layer after the head is not supported',
  );
}

interface SchemeChoice {
  readonly set: WeightSet;
  /** Other complete models. */
  readonly others: readonly WeightSet[];
  /** The name of the chosen model, if there are others. */
  readonly weights: string | undefined;
}

/**
 * Chooses the complete model. If there are several, the caller or timm's convention chooses; if
 * there is none, the most complete one is used, so that messages can say what it lacks.
 */
function chosenSet(
  names: readonly string[],
  { file, weights, nested }: NamedOptions,
  warnings: string[],
): SchemeChoice {
  const all = findWeightSets(names, (found) => {
    throw new CheckpointError('CHECKPOINT_WEIGHTS', `${file}: expected at most ${MAX_SETS} models, ${found}`);
  });
  const complete = new Map(all.filter(({ lacking }) => lacking === 0).map((set) => [set.prefix, set]));
  const [best] = [...all].sort(
    (a, b) =>
      Number(hasStem(b)) - Number(hasStem(a)) || b.tensors.size - a.tensors.size || faults(a) - faults(b),
  );
  if (best === undefined) {
    const titles = SCHEMES.map(({ title }) => title).join(', ');
    throw new CheckpointError(
      'CHECKPOINT_SCHEME',
      `${file}: expected a known naming scheme (${titles}), found ${names.length > 0 ? listed(names) : 'no tensors'}`,
    );
  }
  const sets =
    complete.size > 0 ? [...complete.values()].sort((a, b) => (a.prefix < b.prefix ? -1 : 1)) : [best];
  if (sets.length > MAX_SETS) {
    throw new CheckpointError(
      'CHECKPOINT_WEIGHTS',
      `${file}: expected at most ${MAX_SETS} models, found ${sets.length}`,
    );
  }
  const labels = labelsOf(sets);
  const choice = (set: WeightSet) => ({
    set,
    others: sets.filter((other) => other !== set),
    weights: sets.length > 1 ? labels.get(set) : undefined,
  });
  const list = listed([...labels.values()]);
  if (weights !== undefined) {
    const fitting = named(labels, weights);
    if (fitting.length === 1) return choice(fitting[0]!);
    throw new UsageError(
      'MODEL_OPTION',
      `weights: expected one of the models in ${file}, ${list}, found ${formatValue(weights)}`,
    );
  }
  if (sets.length === 1) return choice(sets[0]!);
  const keyOf = (set: WeightSet) =>
    TIMM_KEYS.find((key) => nested?.has(key) && set.prefix.startsWith(`${key}.`));
  const first = TIMM_KEYS.find((key) => sets.some((set) => keyOf(set) === key));
  const preferred = sets.filter((set) => keyOf(set) === first);
  if (preferred.length === 1 && sets.every((set) => keyOf(set) !== undefined)) {
    const taken = choice(preferred[0]!);
    warnings.push(
      `the file holds ${sets.length} models, ${list}: ${quote(taken.weights!)} is used, as in timm; choose another with --weights`,
    );
    return taken;
  }
  throw new CheckpointError(
    'CHECKPOINT_WEIGHTS',
    `${file}: expected one complete model, found ${sets.length}: ${list}; choose one with --weights`,
  );
}

/** Missing and surplus names: this count distinguishes Microsoft's Swin from timm's. */
const faults = ({ lacking, surplus }: WeightSet) => lacking + surplus;

/** The prefix of each set, `.` for none; if two sets share one, the prefix of the backbone. */
function labelsOf(sets: readonly WeightSet[]): Map<WeightSet, string> {
  const spaces = new Set(sets.map(({ space }) => space));
  return new Map(
    sets.map((set) => {
      const before = spaces.size === sets.length ? set.space : set.prefix;
      return [set, before === '' ? '.' : before.slice(0, -1)];
    }),
  );
}

/** The sets with exactly this label, else those whose label contains these parts. */
function named(labels: ReadonlyMap<WeightSet, string>, weights: unknown): WeightSet[] {
  const sets = [...labels.keys()];
  const exact = sets.filter((set) => labels.get(set) === weights);
  return exact.length > 0 ? exact : sets.filter((set) => `.${labels.get(set)}.`.includes(`.${weights}.`));
}

/**
 * Returns the tensors by canonical name, in the order of `names`.
 *
 * @param names canonical names
 * @param model the model that has these tensors, for messages
 * @throws CheckpointError `CHECKPOINT_MISSING`, `CHECKPOINT_EXTRA` if a tensor is missing or
 *   unexpected
 */
export function takeTensors(
  { tensors, unknown, spelled }: NamedTensors,
  names: readonly string[],
  model: string,
  file: string,
): Map<string, Tensor> {
  const wanted = new Set(names);
  const absent = names.filter((name) => !tensors.has(name));
  const missing = absent.slice(0, LISTED + 1).map(spelled);
  const unused = [...tensors].flatMap(([name, tensor]) => (wanted.has(name) ? [] : [tensor.name]));
  const extra = [...unused, ...unknown];
  const faults: string[] = [];
  if (missing.length > 0) faults.push(`${absent.length} missing: ${listed(missing)}`);
  if (extra.length > 0) faults.push(`${extra.length} unexpected: ${listed(extra)}`);
  if (faults.length > 0) {
    const code = missing.length > 0 ? 'CHECKPOINT_MISSING' : 'CHECKPOINT_EXTRA';
    const operation = missingOperation(unknown, absent, (name) => tensors.has(name));
    if (operation !== undefined) {
      throw new CheckpointError(code, `${file}: this model is not supported: it has ${operation}`);
    }
    throw new CheckpointError(
      code,
      `${file}: expected the ${names.length} tensors of ${model}, found ${tensors.size + unknown.length}; ${faults.join('; ')}`,
    );
  }
  return new Map(names.map((name) => [name, tensors.get(name)!]));
}

function listed(names: readonly string[]): string {
  const first = names.slice(0, LISTED).map(quote).join(', ');
  return names.length > LISTED ? `${first}, ...` : first;
}

/**
 * Finds the models in a file. A checkpoint may hold one model under any prefix, or several (weights
 * and their average, student and teacher), and other tensors of a training run.
 */

import { SWIN_LIMITS } from '../../architecture/architecture.js';
import { attentionParts } from '../names/common-names.js';
import { NameTemplate } from '../names/name-template.js';
import { isHead, type Pair, SCHEMES, type Scheme } from '../names/scheme-table.js';
import { swinDepths, swinNames } from '../names/swin-names.js';
import { vitNames, vitParts } from '../names/vit-names.js';

/** The tensors with one prefix that follow one naming scheme. */
export interface WeightSet {
  readonly scheme: Scheme;
  /** The prefix of the backbone's names, with its final dot. */
  readonly prefix: string;
  /** The prefix of the head's names. */
  readonly headPrefix: string;
  /** The prefix of all names of the set: the shorter of the two if there is a head. */
  readonly space: string;
  /** By canonical names. */
  readonly tensors: ReadonlyMap<string, Found>;
  /** A canonical name that two tensors share, and the names of these tensors. */
  readonly twins: readonly [canonical: string, one: string, other: string] | undefined;
  /** Number of missing tensors of the backbone. */
  readonly lacking: number;
  /** Number of tensors that do not belong to the backbone or a head. */
  readonly surplus: number;
}

interface Found {
  readonly name: string;
  readonly pair: Pair;
}

interface Group {
  readonly tensors: Map<string, Found>;
  twins?: WeightSet['twins'];
}

/** Every model of every library has this tensor. */
const STEM = 'patch_embed.proj.weight';

/** The pairs by the key (`NameTemplate.keyOf`) of a name without its prefix. */
const TABLE = new Map<string, { scheme: Scheme; pair: Pair }[]>();
for (const scheme of SCHEMES) {
  for (const pair of scheme.pairs) {
    for (const key of pair.keys) TABLE.set(key, [...(TABLE.get(key) ?? []), { scheme, pair }]);
  }
}

/** Dot-separated parts in the longest name of any scheme. */
const MAX_PARTS = Math.max(...[...TABLE.keys()].map((key) => key.split('.').length));

/** Parts of models, each with its own prefix: dozens in a file of ten models. Bounds the time. */
const MAX_PARTS_OF_MODELS = 10_000;

/**
 * Finds every set of tensors that has a stem or a block of a known scheme, under any prefix. Each
 * suffix of a name is looked up at most once, so the time is linear in their total length.
 *
 * @param refuse throws an error if there are too many; its argument says what was found
 */
export function findWeightSets(names: readonly string[], refuse: (found: string) => never): WeightSet[] {
  const found = [...groups(names)].flatMap(([scheme, ofScheme]) =>
    [...ofScheme].flatMap(([prefix, group]) =>
      hasStem(group) || hasBlock(group) ? [() => weightSet(scheme, prefix, group, ofScheme)] : [],
    ),
  );
  if (found.length > MAX_PARTS_OF_MODELS) refuse(`found parts of models under ${found.length} prefixes`);
  return found.map((make) => make());
}

/** Groups the tensors by scheme and prefix. */
function groups(names: readonly string[]): Map<Scheme, Map<string, Group>> {
  const found = new Map<Scheme, Map<string, Group>>(SCHEMES.map((scheme) => [scheme, new Map()]));
  for (const name of names) {
    const key = NameTemplate.keyOf(name);
    let [begin, keyBegin] = [name.length + 1, key.length + 1];
    for (let parts = 0; parts < MAX_PARTS && begin > 0; parts++) {
      [begin, keyBegin] = [partBefore(name, begin), partBefore(key, keyBegin)];
      for (const { scheme, pair } of TABLE.get(key.slice(keyBegin)) ?? []) {
        const canonical = pair.canonical(name.slice(begin));
        if (canonical === undefined) continue;
        const ofScheme = found.get(scheme)!;
        const prefix = name.slice(0, begin);
        const group = ofScheme.get(prefix) ?? { tensors: new Map() };
        ofScheme.set(prefix, group);
        add(group, canonical, { name, pair });
      }
    }
  }
  return found;
}

/** The start of the part that ends before the dot at `begin - 1`. */
function partBefore(name: string, begin: number): number {
  return begin > 1 ? name.lastIndexOf('.', begin - 2) + 1 : 0;
}

function add(group: Group, canonical: string, found: Found): void {
  const twin = group.tensors.get(canonical);
  if (twin === undefined) group.tensors.set(canonical, found);
  else group.twins ??= [canonical, twin.name, found.name];
}

/**
 * Adds the tensors outside the backbone's module: Hugging Face's classifiers have the head there,
 * and ViT-MSN, as transformers 5 saves it, also the blocks.
 */
function weightSet(
  scheme: Scheme,
  prefix: string,
  group: Group,
  ofScheme: ReadonlyMap<string, Group>,
): WeightSet {
  const root = scheme.roots?.find((one) => `.${prefix}`.endsWith(`.${one}.`));
  const headPrefix = root === undefined ? prefix : prefix.slice(0, -(root.length + 1));
  const outside = root === undefined ? undefined : ofScheme.get(headPrefix);
  const merged: Group = { ...group, tensors: new Map(group.tensors) };
  if (outside !== undefined && !hasStem(outside)) {
    const takes = hasBlock(group) ? isHead : (name: string) => isHead(name) || isBlock(name);
    for (const [canonical, found] of outside.tensors) if (takes(canonical)) add(merged, canonical, found);
    if (outside.twins && takes(outside.twins[0])) merged.twins ??= outside.twins;
  }
  const { tensors, twins } = merged;
  const expected = new Set(backbone(scheme, [...tensors.keys()]));
  return {
    scheme,
    prefix,
    headPrefix,
    space: tensors.size > group.tensors.size ? headPrefix : prefix,
    tensors,
    twins,
    lacking: [...expected].filter((name) => !tensors.has(name)).length,
    surplus: [...tensors.keys()].filter((name) => !expected.has(name) && !isHead(name)).length,
  };
}

const isBlock = (canonical: string) => /^(layers\.\d+\.)?blocks\./.test(canonical);

export const hasStem = ({ tensors }: Pick<WeightSet, 'tensors'>) => tensors.has(STEM);

const hasBlock = ({ tensors }: Group) => [...tensors.keys()].some(isBlock);

/** The canonical names of a complete backbone with the same parts as `names`, without a head. */
function backbone({ family }: Scheme, names: readonly string[]): string[] {
  const depths = () => swinDepths(names).slice(0, SWIN_LIMITS.stages);
  return family === 'swin'
    ? swinNames({ depths: depths(), attention: attentionParts(names), hasHead: false })
    : vitNames({ ...vitParts(names), heads: [] });
}

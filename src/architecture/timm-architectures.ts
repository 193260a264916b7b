/**
 * What a timm name says and the tensors do not: heads, activation, epsilon, block order, the image
 * size of a Swin, preprocessing. The table is generated from timm (`timm-names.ts`).
 */

import { UsageError } from '../errors.js';
import { formatValue } from '../text/format-value.js';
import type { Family, SwinArchitecture, VitArchitecture } from './architecture.js';
import {
  TIMM_ALIASES,
  TIMM_NAMES,
  TIMM_PREPARATIONS,
  TIMM_REFUSED,
  TIMM_SAME_TENSORS,
  TIMM_VERSION,
} from './timm-names.js';
import type { NamedSwin, NamedVit, Preparation } from './timm-row.js';

/** An architecture that has a timm name. */
export type KnownArchitecture = (NamedVit | NamedSwin) & Preparation & { readonly name: string };

/** The sizes in which a file and a name may differ. */
export type NamedSizes =
  | Omit<VitArchitecture, 'name' | 'classes' | 'heads'>
  | Omit<SwinArchitecture, 'name' | 'classes'>;

/** The default crops: timm's, except for DeiT, which has that of its authors (timm's is 0.9). */
export const FAMILY_CROP: Readonly<Record<Family, number>> = { deit: 0.875, vit: 0.9, swin: 0.9 };

const REASONS: ReadonlyMap<string, string> = new Map(
  Object.entries(TIMM_REFUSED).flatMap(([reason, names]) => names.map((name) => [name, reason] as const)),
);

/** Every supported name. */
export const KNOWN_NAMES: readonly string[] = Object.keys(TIMM_NAMES);

/** Every supported architecture, with the preparation of its default tag. */
export const KNOWN_ARCHITECTURES: readonly KnownArchitecture[] = KNOWN_NAMES.map((name) => known(name));

/**
 * The architecture of a timm name.
 *
 * @param name with or without a pretrained tag, as in `vit_base_patch16_224.augreg_in1k`; names
 *   from earlier versions of timm work too
 * @param refuse throws an error; its argument says what was expected and what was found. Default: a
 *   UsageError `MODEL_OPTION` about the option `arch`
 */
export function timmArchitecture(
  name: string,
  refuse: (message: string) => never = refuseArch,
): KnownArchitecture {
  const current = own(TIMM_ALIASES, name) ?? name;
  const dot = current.indexOf('.');
  const [base, tag] = dot < 0 ? [current] : [current.slice(0, dot), current.slice(dot + 1)];
  const row = own(TIMM_NAMES, base);
  if (row) {
    if (tag === undefined || Object.hasOwn(row.tags, tag)) return known(base, tag);
    const tags = Object.keys(row.tags).join(', ');
    return refuse(
      `expected ${base} with one of its tags in timm ${TIMM_VERSION}, ${tags}, found ${formatValue(name)}`,
    );
  }
  const reason = REASONS.get(base);
  if (reason !== undefined) return refuse(`${base} is not supported: it has ${reason}`);
  return refuse(
    `expected a ViT, DeiT or Swin of timm ${TIMM_VERSION}, ${nearNames(base)}; found ${formatValue(name)}`,
  );
}

/** Whether timm has this name, even if it is unsupported. The tag is not checked. */
export function isTimmName(name: string): boolean {
  const [base = ''] = name.split('.', 1);
  return REASONS.has(base) || [TIMM_NAMES, TIMM_ALIASES].some((table) => Object.hasOwn(table, base));
}

function refuseArch(message: string): never {
  throw new UsageError('MODEL_OPTION', `arch: ${message}`);
}

/** Maximum number of names in a message. */
const LISTED = 6;

/** The names that share the longest prefix with a wrong name; there are too many to list all. */
function nearNames(name: string): string {
  const common = (other: string) => {
    let length = 0;
    while (length < other.length && other[length] === name[length]) length++;
    return length;
  };
  const near = [...KNOWN_NAMES].sort((a, b) => common(b) - common(a) || (a < b ? -1 : 1));
  return `such as ${near.slice(0, LISTED).join(', ')}`;
}

function known(name: string, tag?: string): KnownArchitecture {
  const { tags, ...sizes } = TIMM_NAMES[name]!;
  const preparation = TIMM_PREPARATIONS[tag === undefined ? Object.values(tags)[0]! : tags[tag]!]!;
  // Without a tag, DeiT has the crop of its authors; a tag means timm's crop.
  const isOfPaper = tag === undefined && name.startsWith('deit_');
  return { name, ...sizes, ...preparation, ...(isOfPaper ? { cropPct: FAMILY_CROP.deit } : {}) };
}

/** Whether the tags of a name prepare photos differently, so that the user should choose one. */
export function tagsDiffer(name: string): boolean {
  return !name.includes('.') && new Set(Object.values(own(TIMM_NAMES, name)?.tags ?? {})).size > 1;
}

function own<T>(table: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(table, name) ? table[name] : undefined;
}

/** Formats the sizes for a message. Two texts are equal if and only if the sizes are. */
export function listSizes(sizes: NamedSizes): string {
  const { imageSize, patchSize, dim, mlpDim } = sizes;
  const start = `image ${imageSize}, patch ${patchSize}`;
  if (sizes.family !== 'swin') {
    const heads = sizes.pool === 'two-tokens' ? ', a second head for distillation' : '';
    return `${start}, dim ${dim}, depth ${sizes.depth}, MLP ${mlpDim}${heads}`;
  }
  const [depths, heads] = [sizes.depths, sizes.heads].map(formatValue);
  const windows = sizes.windows === undefined ? sizes.window : formatValue(sizes.windows);
  return `${start}, window ${windows}, dim ${dim}, depths ${depths}, heads ${heads}, MLP ${mlpDim}`;
}

/** A timm model whose tensors have the same names and shapes as those of a file. */
export interface LookAlike {
  readonly name: string;
  readonly heads: number;
  readonly gelu: VitArchitecture['gelu'];
  /** Why it is not supported; undefined if it is. */
  readonly refused: string | undefined;
}

type VitShape = Pick<
  VitArchitecture,
  'imageSize' | 'patchSize' | 'dim' | 'depth' | 'mlpDim' | 'prefix' | 'pool'
>;

/** The timm models with the tensors of this ViT, and with its image size if there are any. */
export function lookAlikes(shape: VitShape): LookAlike[] {
  const rows = Object.entries({ ...TIMM_NAMES, ...TIMM_SAME_TENSORS });
  const alike = rows.flatMap(([name, row]) =>
    row.family !== 'swin' && vitKey(row) === vitKey(shape) ? [{ name, row }] : [],
  );
  const equal = alike.filter(({ row }) => row.imageSize === shape.imageSize);
  return (equal.length > 0 ? equal : alike).map(({ name, row }) => ({
    name,
    heads: row.heads as number,
    gelu: row.gelu,
    refused: REASONS.get(name),
  }));
}

/** A key for what tensors show of a ViT, except its image size. */
function vitKey({ patchSize, dim, depth, mlpDim, prefix = 1, pool }: VitShape): string {
  // Pooling by class token and by a mean after the last LayerNorm use the same tensors.
  const shownPool = pool === 'mean' ? 'token' : (pool ?? 'token');
  return [patchSize, dim, depth, mlpDim, prefix, shownPool].join();
}

/** The heads of published DeiTs and ViTs of this width (64 channels each); else undefined. */
export function headsOfWidth(dim: number): number | undefined {
  return [192, 384, 768, 1024].includes(dim) ? dim / 64 : undefined;
}

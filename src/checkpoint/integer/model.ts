import { CheckpointError } from '../../errors.js';
import type { IntegerArray, TensorSpec } from '../../layers/tensor-spec.js';
import { formatValue } from '../../text/format-value.js';
import { quote } from '../../text/quote.js';
import { type Dtype, readSafetensors, type Tensor, writeSafetensors } from '../safetensors/safetensors.js';
import { asInt8, asInt32, asUint8, asUint32 } from '../safetensors/typed-views.js';
import { type Description, floatHint, parseDescription } from './description.js';
import { DIGEST_KEY, NO_DIGEST } from './digest.js';
import { checkValues } from './values.js';

/** The metadata key that holds the description. */
const KEY = 'fqvit';

/**
 * An integer checkpoint: everything that a forward pass needs. Its only floating-point numbers are
 * scales, which document the model.
 */
export interface IntegerModel extends Description {
  /** By name; the folders of `layers/` state those of each kind. */
  readonly tensors: ReadonlyMap<string, IntegerArray>;
}

/** An integer checkpoint in a file. */
export interface StoredModel extends IntegerModel {
  /** Digest of the file, 64 hexadecimal digits (digest.ts). */
  readonly sha256: string;
}

/**
 * Reads and validates an integer checkpoint. The file is untrusted: the structure, the shapes and
 * every value that could take a kernel out of its range are checked before memory is allocated.
 *
 * @param options.file the file name for messages
 * @throws CheckpointError `MODEL_KIND` (not an integer checkpoint), `MODEL_VERSION`,
 *   `MODEL_DESCRIPTION` (an invalid JSON document), `MODEL_TENSORS` (missing or unexpected
 *   tensors), `MODEL_SHAPE`, `MODEL_VALUE`, `MODEL_DIGEST` (no digest; `checkDigest` compares it),
 *   or as `readSafetensors`
 */
export function readIntegerModel(bytes: Uint8Array, options: { file?: string } = {}): StoredModel {
  const file = options.file ?? 'checkpoint';
  const { metadata, tensors: stored } = readSafetensors(bytes, { file });
  const text = metadata[KEY];
  if (text === undefined) {
    const isFloat = [...stored.values()].some(({ dtype }) => /^B?F\d/.test(dtype));
    throw new CheckpointError(
      'MODEL_KIND',
      `${file}: expected an integer checkpoint` +
        (isFloat
          ? `, found float tensors; ${floatHint(file)}`
          : ` with a "${KEY}" document in its metadata, found none`),
    );
  }
  const description = parseDescription(text, file);
  const expected = description.program.tensors;
  checkNames(stored, expected, file);
  const tensors = new Map<string, IntegerArray>();
  for (const spec of expected) tensors.set(spec.name, checkedView(stored.get(spec.name)!, spec, file));
  checkValues(expected, tensors, file);
  return { ...description, tensors, sha256: digestOf(metadata[DIGEST_KEY], file) };
}

function digestOf(digest: string | undefined, file: string): string {
  if (digest !== undefined && /^[0-9a-f]{64}$/.test(digest)) return digest;
  throw new CheckpointError(
    'MODEL_DIGEST',
    `${file}: metadata ${DIGEST_KEY}: expected 64 hexadecimal digits, found ${formatValue(digest)}`,
  );
}

/**
 * Serialises an integer checkpoint, without its digest, which `seal` writes. The same model always
 * gives the same bytes.
 */
export function writeIntegerModel(model: IntegerModel): Uint8Array {
  const { tensors, program, outputs, sha256: _, ...description } = { sha256: undefined, ...model };
  const views = program.tensors.map(({ name, dtype, shape }): Tensor => {
    const { buffer, byteOffset, byteLength } = tensors.get(name)!;
    return { name, dtype, shape, data: new Uint8Array(buffer, byteOffset, byteLength) };
  });
  const json = {
    ...description,
    output: description.output === 'softmax' ? undefined : description.output,
    layers: program.layers,
    outputs,
  };
  return writeSafetensors(views, { [KEY]: JSON.stringify(json), [DIGEST_KEY]: NO_DIGEST });
}

function checkNames(
  stored: ReadonlyMap<string, Tensor>,
  expected: readonly TensorSpec[],
  file: string,
): void {
  const names = new Set(expected.map(({ name }) => name));
  const missing = [...names].filter((name) => !stored.has(name));
  const extra = [...stored.keys()].filter((name) => !names.has(name));
  if (missing.length + extra.length === 0) return;
  const list = (what: string, all: string[]) =>
    all.length === 0
      ? []
      : [
          `${what} ${all.slice(0, 3).map(quote).join(', ')}${all.length > 3 ? ` and ${all.length - 3} more` : ''}`,
        ];
  throw new CheckpointError(
    'MODEL_TENSORS',
    `${file}: expected the ${names.size} tensors of its layers, found ${[...list('missing', missing), ...list('extra', extra)].join('; ')}`,
  );
}

const VIEWS: Partial<Record<Dtype, (tensor: Tensor) => IntegerArray>> = {
  I8: asInt8,
  U8: asUint8,
  I32: asInt32,
  U32: asUint32,
};

function checkedView(tensor: Tensor, { dtype, shape }: TensorSpec, file: string): IntegerArray {
  if (tensor.dtype !== dtype || tensor.shape.join() !== shape.join()) {
    throw new CheckpointError(
      'MODEL_SHAPE',
      `${file}: tensor ${tensor.name}: expected ${dtype} [${shape}], found ${tensor.dtype} [${tensor.shape}]`,
    );
  }
  return VIEWS[dtype]!(tensor);
}

/**
 * The allow-list of globals for PyTorch pickles. Here a global is a name, never code: "calling" one
 * records a tensor for later, makes an empty dictionary, or returns {@link INERT}. All other
 * globals are refused.
 */

import type { Dtype } from '../safetensors/safetensors.js';

/** An element type of PyTorch. Without a `dtype`, its bytes can only be skipped. */
interface StorageType {
  /** Its name in `torch`, such as `float32`. */
  readonly name: string;
  readonly bytes: number;
  readonly dtype?: Dtype;
}

/** The elements of one or more tensors; `key` names it in the file. */
export class TensorStorage {
  constructor(
    readonly key: string,
    readonly element: StorageType,
    readonly count: number,
  ) {}
}

/** Stands for a value that is not a weight (a path, a NumPy scalar, a set) and is skipped. */
export const INERT: unique symbol = Symbol('a value that is not read');

/**
 * A tensor as the pickle describes it. It is checked later, when its name is known for messages.
 */
export class StoredTensor {
  constructor(
    readonly storage: unknown,
    /** In elements. */
    readonly offset: unknown,
    readonly size: unknown,
    /** In elements. */
    readonly stride: unknown,
    /** Default: the type of the storage. */
    readonly element?: unknown,
    /** Marks views that negate or conjugate: their values differ from their bytes. */
    readonly metadata?: unknown,
  ) {}
}

/** A tensor that is not stored as a dense array. */
export class UnsupportedTensor {
  constructor(readonly kind: string) {}
}

/** `argparse.Namespace`: the arguments of a training script. */
export class Namespace {
  attributes: ReadonlyMap<string, unknown> = new Map();
}

type Call = (args: readonly unknown[]) => unknown;

/** A name on the allow-list. */
export class Global {
  constructor(
    readonly name: string,
    /** Returns `undefined` for invalid arguments, and if the global is not callable. */
    readonly call: Call,
    /** The element type of a storage class or dtype. */
    readonly element?: StorageType,
  ) {}
}

/** Element types with their storage classes; types without one are stored as bytes. */
const ELEMENTS: readonly (readonly [
  name: string,
  storage: string | undefined,
  bytes: number,
  dtype?: Dtype,
])[] = [
  ['float32', 'FloatStorage', 4, 'F32'],
  ['float16', 'HalfStorage', 2, 'F16'],
  ['bfloat16', 'BFloat16Storage', 2, 'BF16'],
  ['float64', 'DoubleStorage', 8, 'F64'],
  ['int64', 'LongStorage', 8, 'I64'],
  ['int32', 'IntStorage', 4, 'I32'],
  ['int16', 'ShortStorage', 2, 'I16'],
  ['int8', 'CharStorage', 1, 'I8'],
  ['uint8', 'ByteStorage', 1, 'U8'],
  ['bool', 'BoolStorage', 1, 'BOOL'],
  ['uint64', undefined, 8, 'U64'],
  ['uint32', undefined, 4, 'U32'],
  ['uint16', undefined, 2, 'U16'],
  ['float8_e4m3fn', undefined, 1],
  ['float8_e5m2', undefined, 1],
  ['complex64', 'ComplexFloatStorage', 8],
  ['complex128', 'ComplexDoubleStorage', 16],
  ['qint32', 'QInt32Storage', 4],
  ['qint8', 'QInt8Storage', 1],
  ['quint8', 'QUInt8Storage', 1],
  ['quint4x2', 'QUInt4x2Storage', 1],
  ['quint2x4', 'QUInt2x4Storage', 1],
];

const UNTYPED: StorageType = { name: 'uint8', bytes: 1, dtype: 'U8' };

/** Python types by their names in Python 3, and in Python 2, as protocol 2 writes them. */
const BUILTINS =
  'bool bytearray bytes complex dict float frozenset int list long object range set slice str tuple unicode xrange';

const INERT_NAMES = [
  ...['builtins', '__builtin__'].flatMap((module) => BUILTINS.split(' ').map((name) => `${module}.${name}`)),
  ...['pathlib', 'pathlib._local'].flatMap((module) =>
    ['Path', 'PosixPath', 'WindowsPath', 'PurePosixPath', 'PureWindowsPath'].map(
      (name) => `${module}.${name}`,
    ),
  ),
  ...['numpy.core', 'numpy._core'].flatMap((module) => [
    `${module}.multiarray.scalar`,
    `${module}.multiarray._reconstruct`,
  ]),
  'numpy.dtype',
  'numpy.ndarray',
  '_codecs.encode',
  'collections.Counter',
  'torch.Size',
  'torch.device',
  'torch.serialization._get_layout',
  'torch.per_tensor_affine',
  'torch.per_tensor_symmetric',
  'torch.per_channel_affine',
  'torch.per_channel_symmetric',
  'torch.per_channel_affine_float_qparams',
];

/** Dictionary types whose entries follow in the pickle, like those of `dict`. */
const DICTIONARIES = ['collections.OrderedDict', 'collections.defaultdict', 'yacs.config.CfgNode'];

const UNSUPPORTED = {
  'torch._utils._rebuild_qtensor': 'a quantised tensor',
  'torch._utils._rebuild_sparse_tensor': 'a sparse tensor',
  'torch._utils._rebuild_nested_tensor': 'a nested tensor',
  'torch._utils._rebuild_meta_tensor_no_storage': 'a tensor without data, of the meta device',
};

/** Accepts only a default factory: entries passed as an argument would be lost. */
function makeDictionary(args: readonly unknown[]): unknown {
  return args.every((argument) => argument instanceof Global || argument === null) ? new Map() : undefined;
}

const REBUILDERS: Readonly<Record<string, Call>> = {
  /** (storage, offset, size, stride) */
  'torch._utils._rebuild_tensor': ([storage, offset, size, stride]) =>
    new StoredTensor(storage, offset, size, stride),
  /** (storage, offset, size, stride, requires_grad, hooks, metadata) */
  'torch._utils._rebuild_tensor_v2': ([storage, offset, size, stride, , , metadata]) =>
    new StoredTensor(storage, offset, size, stride, undefined, metadata),
  /** (storage, offset, size, stride, requires_grad, hooks, dtype, metadata) */
  'torch._utils._rebuild_tensor_v3': ([storage, offset, size, stride, , , dtype, metadata]) =>
    new StoredTensor(storage, offset, size, stride, dtype, metadata),
  /** (tensor, requires_grad, hooks) */
  'torch._utils._rebuild_parameter': ([tensor]) => tensor,
  /** (tensor, requires_grad, hooks, state) */
  'torch._utils._rebuild_parameter_with_state': ([tensor]) => tensor,
};

const notCalled = () => undefined;

/** Keyed by module and name, joined by a dot. */
export const ALLOWED_GLOBALS: ReadonlyMap<string, Global> = new Map(
  [
    ...INERT_NAMES.map((name) => new Global(name, () => INERT)),
    ...DICTIONARIES.map((name) => new Global(name, makeDictionary)),
    new Global('argparse.Namespace', () => new Namespace()),
    ...Object.entries(REBUILDERS).map(([name, call]) => new Global(name, call)),
    ...Object.entries(UNSUPPORTED).map(([name, kind]) => new Global(name, () => new UnsupportedTensor(kind))),
    ...ELEMENTS.flatMap(([name, storage, bytes, dtype]) => {
      const element = { name, bytes, ...(dtype && { dtype }) };
      const names = storage === undefined ? [name] : [name, storage];
      return names.map((last) => new Global(`torch.${last}`, notCalled, element));
    }),
    new Global('torch.storage.UntypedStorage', notCalled, UNTYPED),
    new Global('torch.UntypedStorage', notCalled, UNTYPED),
  ].map((global) => [global.name, global]),
);

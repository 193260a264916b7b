/** The float DeiT or ViT in plain f64 loops, one image at a time, to check the kernels against. */
import type { VitArchitecture } from '../../../src/architecture/architecture.js';
import type { FloatModel } from '../../../src/checkpoint/float/model.js';

export type Rows = number[][];

/**
 * erf by its Taylor series, exact to 1e-15 for |x| < 2, and by Lentz's continued fraction of erfc
 * beyond.
 */
export function erf(x: number): number {
  const u = Math.abs(x);
  if (u < 2) {
    let term = x;
    let sum = x;
    for (let n = 1; n < 80; n++) {
      term *= -(x * x) / n;
      sum += term / (2 * n + 1);
    }
    return (2 / Math.sqrt(Math.PI)) * sum;
  }
  let fraction = 0;
  for (let n = 80; n >= 1; n--) fraction = n / 2 / (u + fraction);
  return Math.sign(x) * (1 - Math.exp(-u * u) / Math.sqrt(Math.PI) / (u + fraction));
}

export const gelu = (x: number): number => (x / 2) * (1 + erf(x / Math.SQRT2));

/** arXiv 1606.08415, section 2. */
export const GELU_FORMS = {
  exact: gelu,
  tanh: (x: number) => (x / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
  quick: (x: number) => x / (1 + Math.exp(-1.702 * x)),
} as const;

const mean = (rows: Rows): number[] =>
  rows[0]!.map((_, c) => rows.reduce((sum, row) => sum + row[c]!, 0) / rows.length);

export function softmax(row: readonly number[]): number[] {
  const top = Math.max(...row);
  const e = row.map((x) => Math.exp(x - top));
  const sum = e.reduce((a, b) => a + b);
  return e.map((x) => x / sum);
}

export function layerNorm(
  row: readonly number[],
  gamma: ArrayLike<number>,
  beta: ArrayLike<number>,
  eps: number,
) {
  const mean = row.reduce((a, b) => a + b) / row.length;
  const variance = row.reduce((a, x) => a + (x - mean) ** 2, 0) / row.length;
  return row.map((x, c) => ((x - mean) / Math.sqrt(variance + eps)) * gamma[c]! + beta[c]!);
}

/**
 * The layers of all families, the tensors that they emitted, and the patch embedding of one image.
 */
export function referenceLayers({ architecture, preprocessing, tensors }: FloatModel, pixels: Uint8Array) {
  const { imageSize, patchSize, layerNormEps } = architecture;
  const { mean, std } = preprocessing;
  const data = (name: string) => tensors.get(name)!.data;
  const seen = new Map<string, number[]>();
  const emit = (name: string, rows: Rows) => {
    seen.set(name, rows.flat());
    return rows;
  };
  const linear = (x: Rows, name: string): Rows => {
    const weight = data(`${name}.weight`);
    const bias = tensors.get(`${name}.bias`)?.data ?? new Float32Array(weight.length / x[0]!.length);
    return x.map((row) =>
      Array.from(bias, (b, n) => row.reduce((sum, v, k) => sum + v * weight[n * row.length + k]!, b)),
    );
  };
  const norm = (x: Rows, name: string): Rows =>
    x.map((row) => layerNorm(row, data(`${name}.weight`), data(`${name}.bias`), layerNormEps));
  const plus = (a: Rows, b: Rows): Rows => a.map((row, i) => row.map((v, c) => v + b[i]![c]!));

  const value = (y: number, x: number, c: number) =>
    (pixels[(y * imageSize + x) * 3 + c]! / 255 - mean[c]!) / std[c]!;
  const input: Rows = [];
  for (let y = 0; y < imageSize; y++)
    for (let x = 0; x < imageSize; x++) input.push([0, 1, 2].map((c) => value(y, x, c)));
  emit('input', input);
  const patches: Rows = [];
  for (let py = 0; py < imageSize; py += patchSize)
    for (let px = 0; px < imageSize; px += patchSize) {
      const row: number[] = [];
      for (let c = 0; c < 3; c++)
        for (let y = 0; y < patchSize; y++)
          for (let x = 0; x < patchSize; x++) row.push(value(py + y, px + x, c));
      patches.push(row);
    }
  return { data, seen, emit, linear, norm, plus, patches };
}

/** Every tensor of one image that has a quantiser, by name, flattened. */
export function forward(model: FloatModel, pixels: Uint8Array): Map<string, number[]> {
  const {
    dim,
    depth,
    heads,
    classes,
    prefix = 1,
    pool = 'token',
    gelu: form = 'exact',
  } = model.architecture as FloatModel['architecture'] & VitArchitecture;
  const { data, seen, emit, linear, norm, plus, patches } = referenceLayers(model, pixels);
  const embedded = emit('patch_embed.out', linear(patches, 'patch_embed.proj'));
  const first = Array.from({ length: prefix }, (_, i) =>
    Array.from(data('cls_token').subarray(i * dim, (i + 1) * dim)),
  );
  const tokens = emit('tokens', [...first, ...embedded]);
  const flat = Array.from(data('pos_embed'));
  const position = emit(
    'pos_embed',
    tokens.map((_, i) => flat.slice(i * dim, (i + 1) * dim)),
  );
  let x = emit('stem.out', plus(tokens, position));

  const d = dim / heads;
  for (let n = 0; n < depth; n++) {
    const name = `blocks.${n}`;
    const normed = emit(`${name}.norm1.out`, norm(x, `${name}.norm1`));
    const qkv = emit(`${name}.attn.qkv.out`, linear(normed, `${name}.attn.qkv`));
    const part = (row: number[], which: number, h: number) =>
      row.slice((which * heads + h) * d, (which * heads + h + 1) * d);
    const perHead = Array.from({ length: heads }, (_, h) =>
      qkv.map((q) =>
        qkv.map((k) => part(k, 1, h).reduce((sum, v, i) => sum + v * part(q, 0, h)[i]!, 0) / Math.sqrt(d)),
      ),
    );
    emit(`${name}.attn.scores`, perHead.flat());
    const probabilities = perHead.map((rows) => rows.map(softmax));
    emit(`${name}.attn.probs`, probabilities.flat());
    const context = emit(
      `${name}.attn.context`,
      qkv.map((_, i) =>
        probabilities.flatMap((rows, h) =>
          Array.from({ length: d }, (_, c) =>
            rows[i]!.reduce((sum, p, j) => sum + p * part(qkv[j]!, 2, h)[c]!, 0),
          ),
        ),
      ),
    );
    x = emit(
      `${name}.residual1.out`,
      plus(x, emit(`${name}.attn.proj.out`, linear(context, `${name}.attn.proj`))),
    );
    const hidden = linear(emit(`${name}.norm2.out`, norm(x, `${name}.norm2`)), `${name}.mlp.fc1`);
    const active = emit(
      `${name}.mlp.gelu.out`,
      hidden.map((row) => row.map(GELU_FORMS[form])),
    );
    x = emit(
      `${name}.residual2.out`,
      plus(x, emit(`${name}.mlp.fc2.out`, linear(active, `${name}.mlp.fc2`))),
    );
  }
  const pooled = () => emit('pooled', [mean(pool === 'mean' ? seenNorm.slice(prefix) : x.slice(prefix))]);
  const seenNorm = pool === 'mean' ? emit('norm.out', norm(x, 'norm')) : [];
  const features =
    pool === 'mean'
      ? pooled()
      : emit(
          'norm.out',
          norm(pool === 'mean-before-norm' ? pooled() : x.slice(0, pool === 'two-tokens' ? 2 : 1), 'norm'),
        );
  if (classes > 0) emit('logits', linear([features.flat()], 'head'));
  return seen;
}

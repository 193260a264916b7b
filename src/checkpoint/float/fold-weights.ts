import type { FloatTensor } from './tensor.js';

type Tensors = ReadonlyMap<string, FloatTensor>;

/**
 * Turns the tensors of `vitNames` or `swinNames` into those that the model uses. Tensors that need
 * no merging keep their array.
 *
 * - `attn.qkv`: the rows of q, k and v; zeros for biases that are absent
 * - `attn.proj` and `mlp.fc2`: multiplied by the factors of LayerScale
 * - `cls_token` `[1, P, dim]`: class token, distillation token, registers
 * - `pos_embed` `[1, P + patches, dim]`: zeros for tokens without a position
 * - `head` `[classes, 2·dim]`: the mean of the two heads, which reads the class and distillation
 *   tokens, concatenated
 * - `norm`: `norm` or `fc_norm`
 */
export function foldWeights(tensors: Tensors, patches: number): Map<string, FloatTensor> {
  const out = new Map<string, FloatTensor>();
  const tokens = ['cls_token', 'dist_token', 'reg_token'].flatMap((name) => tensors.get(name) ?? []);
  if (tokens.length > 0) out.set('cls_token', tokens.length > 1 ? stacked(tokens, 1) : tokens[0]!);
  for (const [name, tensor] of tensors) {
    if (/^(cls|dist|reg)_token$|\.attn\.([kv]\.|[qv]_bias$)|\.ls[12]\.gamma$|^head_dist\./.test(name))
      continue;
    const canonical = name.replace('.attn.q.', '.attn.qkv.').replace(/^fc_norm\./, 'norm.');
    out.set(canonical, foldedTensor(name, tensor, tensors, tokens, patches));
    if (canonical.endsWith('.attn.qkv.weight') && !tensors.has(name.replace(/weight$/, 'bias'))) {
      const rows = out.get(canonical)!.shape[0]!;
      const data = new Float32Array(rows);
      for (const [part, at] of Object.entries({ q_bias: 0, v_bias: (2 * rows) / 3 })) {
        const bias = tensors.get(canonical.replace(/qkv\.weight$/, part));
        if (bias) data.set(bias.data, at);
      }
      out.set(canonical.replace(/weight$/, 'bias'), { shape: [rows], data });
    }
  }
  return out;
}

function foldedTensor(
  name: string,
  tensor: FloatTensor,
  tensors: Tensors,
  tokens: readonly FloatTensor[],
  patches: number,
): FloatTensor {
  if (name.includes('.attn.q.')) {
    const parts = ['q', 'k', 'v'].map((part) => tensors.get(name.replace('.attn.q.', `.attn.${part}.`))!);
    return stacked(parts, 0);
  }
  const scale = tensors.get(
    name.replace(/\.attn\.proj\.\w+$/, '.ls1.gamma').replace(/\.mlp\.fc2\.\w+$/, '.ls2.gamma'),
  );
  if (scale !== undefined && scale !== tensor) return scaledRows(tensor, scale.data);
  if (name === 'pos_embed') {
    const missing = tokens.reduce((count, { shape }) => count + shape[1]!, patches) - tensor.shape[1]!;
    return missing > 0 ? withoutPosition(tensor, missing, patches) : tensor;
  }
  const second = tensors.get(name.replace(/^head\./, 'head_dist.'));
  return second !== undefined && second !== tensor ? averaged(tensor, second) : tensor;
}

/** Concatenates along an axis; all axes before it must have size 1. */
function stacked(parts: readonly FloatTensor[], axis: number): FloatTensor {
  const data = new Float32Array(parts.reduce((length, part) => length + part.data.length, 0));
  let at = 0;
  for (const part of parts) {
    data.set(part.data, at);
    at += part.data.length;
  }
  const shape = [...parts[0]!.shape];
  shape[axis] = parts.reduce((side, part) => side + part.shape[axis]!, 0);
  return { shape, data };
}

function scaledRows({ shape, data }: FloatTensor, scale: Float32Array): FloatTensor {
  const width = data.length / scale.length;
  return { shape, data: data.map((value, i) => value * scale[Math.floor(i / width)]!) };
}

/** Inserts zeros for `missing` tokens before the patches. */
function withoutPosition({ shape, data }: FloatTensor, missing: number, patches: number): FloatTensor {
  const [, rows, dim] = shape as [number, number, number];
  const out = new Float32Array((rows + missing) * dim);
  const before = (rows - patches) * dim;
  out.set(data.subarray(0, before));
  out.set(data.subarray(before), before + missing * dim);
  return { shape: [1, rows + missing, dim], data: out };
}

/** The mean of two heads: halved weights with concatenated rows, and the mean of the biases. */
function averaged(head: FloatTensor, second: FloatTensor): FloatTensor {
  const [rows, width = 0] = head.shape as [number, number?];
  if (width === 0)
    return { shape: head.shape, data: head.data.map((value, i) => (value + second.data[i]!) / 2) };
  const data = new Float32Array(2 * head.data.length);
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < width; i++) {
      data[2 * row * width + i] = head.data[row * width + i]! / 2;
      data[(2 * row + 1) * width + i] = second.data[row * width + i]! / 2;
    }
  }
  return { shape: [rows, 2 * width], data };
}

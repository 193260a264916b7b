// The forward pass of forward.py in TensorFlow.js' operations.

/** @returns a function from an image f32 [1, S, S, 3] to its logits [1, classes] */
export function forward(tf, model) {
  const net = new Network(tf, model);
  return model.architecture.family === 'swin' ? (image) => net.swin(image) : (image) => net.vit(image);
}

class Network {
  constructor(tf, { architecture, tensors }) {
    this.tf = tf;
    this.architecture = architecture;
    this.eps = tf.scalar(architecture.layerNormEps);
    this.half = tf.scalar(0.5);
    this.one = tf.scalar(1);
    this.rootOfHalf = tf.scalar(Math.SQRT1_2);
    this.tensors = tensors;
    this.made = new Map();
  }

  vit(image) {
    const { tf } = this;
    const { dim, depth, heads, imageSize, patchSize } = this.architecture;
    const tokens = 1 + (imageSize / patchSize) ** 2;
    let x = tf.concat([this.value('cls_token', [1, dim]), this.patches(image)], 0);
    x = tf.add(x, this.value('pos_embed', [tokens, dim]));
    for (let n = 0; n < depth; n++) {
      const name = `blocks.${n}`;
      const shape = { windows: 1, tokens, dim, heads };
      x = tf.add(x, this.attention(this.norm(x, `${name}.norm1`), `${name}.attn`, shape));
      x = tf.add(x, this.mlp(this.norm(x, `${name}.norm2`), `${name}.mlp`));
    }
    return this.linear(this.norm(tf.slice(x, [0, 0], [1, dim]), 'norm'), 'head');
  }

  swin(image) {
    const { tf } = this;
    const { depths, heads, imageSize, patchSize, window: largest } = this.architecture;
    let { dim } = this.architecture;
    let side = imageSize / patchSize;
    let x = this.norm(this.patches(image), 'patch_embed.norm');
    for (const [stage, depth] of depths.entries()) {
      const window = Math.min(largest, side);
      for (let n = 0; n < depth; n++) {
        const shift = n % 2 === 1 && side > window ? Math.floor(window / 2) : 0;
        const shape = { side, window, shift, dim, heads: heads[stage] };
        x = this.swinBlock(x, `layers.${stage}.blocks.${n}`, shape);
      }
      if (stage + 1 === depths.length) break;
      x = this.merge(x, `layers.${stage}.downsample`, side, dim);
      side /= 2;
      dim *= 2;
    }
    return this.linear(tf.mean(this.norm(x, 'norm'), 0, true), 'head');
  }

  swinBlock(x, name, shape) {
    const { tf } = this;
    const { side, window, shift, dim, heads } = shape;
    const n = side / window;
    let y = tf.reshape(this.norm(x, `${name}.norm1`), [side, side, dim]);
    y = this.roll(y, shift, side);
    y = tf.transpose(tf.reshape(y, [n, window, n, window, dim]), [0, 2, 1, 3, 4]);
    y = tf.reshape(y, [side * side, dim]);
    const bias = this.constant(`${name} bias`, () => this.bias(`${name}.attn`, window, heads));
    const mask =
      shift > 0 && this.constant(`mask ${side} ${shift}`, () => shiftMask(tf, side, window, shift));
    const sizes = { windows: n * n, tokens: window ** 2, dim, heads };
    y = this.attention(y, `${name}.attn`, sizes, bias, mask);
    y = tf.transpose(tf.reshape(y, [n, n, window, window, dim]), [0, 2, 1, 3, 4]);
    y = this.roll(tf.reshape(y, [side, side, dim]), (side - shift) % side, side);
    x = tf.add(x, tf.reshape(y, [side * side, dim]));
    return tf.add(x, this.mlp(this.norm(x, `${name}.norm2`), `${name}.mlp`));
  }

  merge(x, name, side, dim) {
    const { tf } = this;
    const half = side / 2;
    const y = tf.transpose(tf.reshape(x, [half, 2, half, 2, dim]), [0, 2, 3, 1, 4]);
    return this.linear(this.norm(tf.reshape(y, [half * half, 4 * dim]), `${name}.norm`), `${name}.reduction`);
  }

  attention(x, name, { windows, tokens, dim, heads }, bias, mask) {
    const { tf } = this;
    const width = dim / heads;
    const y = tf.reshape(this.linear(x, `${name}.qkv`), [windows, tokens, 3 * heads, width]);
    const [q, k, v] = tf.split(tf.transpose(y, [0, 2, 1, 3]), 3, 1);
    const root = this.constant(`root ${width}`, () => tf.scalar(width ** -0.5));
    let scores = this.product(tf.mul(q, root), tf.transpose(k, [0, 1, 3, 2]));
    if (bias) scores = tf.add(scores, bias);
    if (mask) scores = tf.add(scores, mask);
    const context = tf.transpose(this.product(tf.softmax(scores), v), [0, 2, 1, 3]);
    return this.linear(tf.reshape(context, [windows * tokens, dim]), `${name}.proj`);
  }

  /**
   * a·b for every head of every window. The backend's fast product takes one matrix at a time. For
   * the few heads of a ViT it is twice as fast as the batched one; for the many windows of a Swin
   * the calls cost more than that saves.
   */
  product(a, b) {
    const { tf } = this;
    const [windows, heads, rows] = a.shape;
    if (windows > 1) return tf.matMul(a, b);
    const [left, right] = [a, b].map((one) => tf.split(tf.reshape(one, one.shape.slice(1)), heads));
    const products = left.map((one, i) => tf.matMul(one, right[i]));
    return tf.reshape(tf.concat(products, 0), [1, heads, rows, b.shape[3]]);
  }

  mlp(x, name) {
    const { tf } = this;
    const y = this.linear(x, `${name}.fc1`);
    const gelu = tf.mul(tf.mul(y, this.half), tf.add(tf.erf(tf.mul(y, this.rootOfHalf)), this.one));
    return this.linear(gelu, `${name}.fc2`);
  }

  linear(x, name) {
    const { tf } = this;
    const b = this.constant(`${name}.weight`, () => {
      const { data, shape } = this.tensors.get(`${name}.weight`);
      return tf.transpose(tf.tensor(data, shape));
    });
    const bias = this.tensors.has(`${name}.bias`) ? this.value(`${name}.bias`) : undefined;
    return tf.fused.matMul({ a: x, b, bias });
  }

  norm(x, name) {
    const { tf } = this;
    const centred = tf.sub(x, tf.mean(x, -1, true));
    const variance = tf.mean(tf.mul(centred, centred), -1, true);
    const normed = tf.mul(centred, tf.rsqrt(tf.add(variance, this.eps)));
    return tf.add(tf.mul(normed, this.value(`${name}.weight`)), this.value(`${name}.bias`));
  }

  patches(image) {
    const { tf } = this;
    const { dim, patchSize } = this.architecture;
    const filter = this.constant('patch filter', () =>
      tf.transpose(this.value('patch_embed.proj.weight'), [2, 3, 1, 0]),
    );
    const x = tf.fused.conv2d({
      x: image,
      filter,
      strides: patchSize,
      pad: 'valid',
      bias: this.value('patch_embed.proj.bias'),
    });
    return tf.reshape(x, [-1, dim]);
  }

  roll(x, shift, side) {
    if (shift === 0) return x;
    const { tf } = this;
    const rest = side - shift;
    const part = (y, axis, start, length) =>
      tf.slice(
        y,
        y.shape.map((_, i) => (i === axis ? start : 0)),
        y.shape.map((size, i) => (i === axis ? length : size)),
      );
    return [0, 1].reduce(
      (y, axis) => tf.concat([part(y, axis, shift, rest), part(y, axis, 0, shift)], axis),
      x,
    );
  }

  /** The bias of every pair of tokens: [1, heads, N, N]. */
  bias(name, window, heads) {
    const { data } = this.tensors.get(`${name}.relative_position_bias_table`);
    const n = window ** 2;
    const values = new Float32Array(heads * n * n);
    for (let at = 0; at < values.length; at++) {
      const [h, i, j] = [Math.floor(at / (n * n)), Math.floor(at / n) % n, at % n];
      const down = Math.floor(i / window) - Math.floor(j / window) + window - 1;
      const along = (i % window) - (j % window) + window - 1;
      values[at] = data[(down * (2 * window - 1) + along) * heads + h];
    }
    return this.tf.tensor(values, [1, heads, n, n]);
  }

  value(name, shape) {
    return this.constant(name, () => {
      const tensor = this.tensors.get(name);
      return this.tf.tensor(tensor.data, shape ?? tensor.shape);
    });
  }

  /** Made once and kept. */
  constant(key, make) {
    if (!this.made.has(key)) this.made.set(key, this.tf.keep(this.tf.tidy(make)));
    return this.made.get(key);
  }
}

/** -100 between tokens that were no neighbours before the shift: [windows, 1, N, N]. */
function shiftMask(tf, side, window, shift) {
  const across = side / window;
  const n = window ** 2;
  const third = (at) => (at < side - window ? 0 : at < side - shift ? 1 : 2);
  const region = (w, i) =>
    3 * third(Math.floor(w / across) * window + Math.floor(i / window)) +
    third((w % across) * window + (i % window));
  const values = new Float32Array(across ** 2 * n * n).map((_, at) => {
    const [w, i, j] = [Math.floor(at / (n * n)), Math.floor(at / n) % n, at % n];
    return region(w, i) === region(w, j) ? 0 : -100;
  });
  return tf.tensor(values, [across ** 2, 1, n, n]);
}

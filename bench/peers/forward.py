"""The forward pass of DeiT, ViT and Swin, over `ops` that build a graph (ONNX or TensorFlow).

One image, static shapes. Tokens are the rows of a matrix [tokens, channels], so that every linear
layer is a plain matrix product, which suits the fastest kernel of every runtime. The q, k and v
projections are three layers, as in the files that transformers.js ships.
"""

import re

import numpy as np

MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)

HEAD_WIDTH = 64  # of every DeiT and ViT
SWIN_HEAD_WIDTH = 32
IMAGE_SIZE = 224


def is_swin(weights):
    return any(name.startswith("layers.") for name in weights)


def forward(ops, weights, image):
    """Logits [1, classes] of a normalised image."""
    return (_swin if is_swin(weights) else _vit)(ops, weights, image)


def _vit(ops, w, image):
    dim, _, patch, _ = w["patch_embed.proj.weight"].shape
    depth = _count(w, r"blocks\.(\d+)\.")
    x = ops.patches(image, w["patch_embed.proj.weight"], w["patch_embed.proj.bias"])
    x = ops.concat([ops.constant(w["cls_token"].reshape(1, dim)), x], 0)
    x = ops.add(x, ops.constant(w["pos_embed"].reshape(-1, dim)))
    tokens = w["pos_embed"].shape[1]
    for n in range(depth):
        b = f"blocks.{n}"
        y = _norm(ops, w, f"{b}.norm1", x, 1e-6)
        x = ops.add(x, _attention(ops, w, f"{b}.attn", y, 1, tokens, dim, dim // HEAD_WIDTH))
        x = ops.add(x, _mlp(ops, w, f"{b}.mlp", _norm(ops, w, f"{b}.norm2", x, 1e-6)))
    x = _norm(ops, w, "norm", ops.slice(x, 0, 0, 1), 1e-6)
    return _linear(ops, w, "head", x)


def _swin(ops, w, image):
    dim, _, patch, _ = w["patch_embed.proj.weight"].shape
    side = IMAGE_SIZE // patch
    x = ops.patches(image, w["patch_embed.proj.weight"], w["patch_embed.proj.bias"])
    x = _norm(ops, w, "patch_embed.norm", x, 1e-5)
    stages = _count(w, r"layers\.(\d+)\.")
    for s in range(stages):
        rows = w[f"layers.{s}.blocks.0.attn.relative_position_bias_table"].shape[0]
        window = (round(rows**0.5) + 1) // 2
        for n in range(_count(w, rf"layers\.{s}\.blocks\.(\d+)\.")):
            shift = window // 2 if n % 2 == 1 and side > window else 0
            x = _swin_block(ops, w, f"layers.{s}.blocks.{n}", x, side, window, shift, dim)
        if s + 1 < stages:
            x = _merge(ops, w, f"layers.{s}.downsample", x, side, dim)
            side, dim = side // 2, dim * 2
    x = ops.mean_rows(_norm(ops, w, "norm", x, 1e-5))
    return _linear(ops, w, "head", x)


def _swin_block(ops, w, name, x, side, window, shift, dim):
    tokens, windows = window**2, (side // window) ** 2
    heads = dim // SWIN_HEAD_WIDTH
    y = _norm(ops, w, f"{name}.norm1", x, 1e-5)
    y = ops.reshape(y, [side, side, dim])
    y = _roll(ops, y, shift, side)
    y = _windows(ops, y, side, window, dim)
    table = w[f"{name}.attn.relative_position_bias_table"]
    bias = table[_relative_index(window)].transpose(2, 0, 1)[None]
    mask = _shift_mask(side, window, shift)[:, None] if shift else None
    y = _attention(ops, w, f"{name}.attn", y, windows, tokens, dim, heads, bias, mask)
    y = _from_windows(ops, y, side, window, dim)
    y = _roll(ops, y, (side - shift) % side, side)
    x = ops.add(x, ops.reshape(y, [side * side, dim]))
    return ops.add(x, _mlp(ops, w, f"{name}.mlp", _norm(ops, w, f"{name}.norm2", x, 1e-5)))


def _attention(ops, w, name, x, windows, tokens, dim, heads, bias=None, mask=None):
    width = dim // heads
    weight, offset = w[f"{name}.qkv.weight"], w[f"{name}.qkv.bias"]
    q, k, v = (
        ops.reshape(
            ops.linear(x, weight[i * dim : (i + 1) * dim], offset[i * dim : (i + 1) * dim]),
            [windows, tokens, heads, width],
        )
        for i in range(3)
    )
    q = ops.scale(ops.transpose(q, [0, 2, 1, 3]), width**-0.5)
    scores = ops.scores(q, k)
    if bias is not None:
        scores = ops.add(scores, ops.constant(bias))
    if mask is not None:
        scores = ops.add(scores, ops.constant(mask))
    y = ops.matmul(ops.softmax(scores), ops.transpose(v, [0, 2, 1, 3]))
    y = ops.reshape(ops.transpose(y, [0, 2, 1, 3]), [windows * tokens, dim])
    return _linear(ops, w, f"{name}.proj", y)


def _mlp(ops, w, name, x):
    return _linear(ops, w, f"{name}.fc2", ops.gelu(_linear(ops, w, f"{name}.fc1", x)))


def _linear(ops, w, name, x):
    return ops.linear(x, w[f"{name}.weight"], w.get(f"{name}.bias"))


def _norm(ops, w, name, x, eps):
    return ops.layer_norm(x, w[f"{name}.weight"], w[f"{name}.bias"], eps)


def _merge(ops, w, name, x, side, dim):
    """Joins four neighbours, (0, 0), (1, 0), (0, 1), (1, 1) as (row, column), and reduces them."""
    half = side // 2
    x = ops.transpose(ops.reshape(x, [half, 2, half, 2, dim]), [0, 2, 3, 1, 4])
    x = ops.reshape(x, [half * half, 4 * dim])
    return _linear(ops, w, f"{name}.reduction", _norm(ops, w, f"{name}.norm", x, 1e-5))


def _roll(ops, x, shift, side):
    """Rows and columns from `shift` on first."""
    if shift == 0:
        return x
    for axis in (0, 1):
        x = ops.concat([ops.slice(x, axis, shift, side), ops.slice(x, axis, 0, shift)], axis)
    return x


def _windows(ops, x, side, window, dim):
    n = side // window
    x = ops.transpose(ops.reshape(x, [n, window, n, window, dim]), [0, 2, 1, 3, 4])
    return ops.reshape(x, [side * side, dim])


def _from_windows(ops, x, side, window, dim):
    n = side // window
    x = ops.transpose(ops.reshape(x, [n, n, window, window, dim]), [0, 2, 1, 3, 4])
    return ops.reshape(x, [side, side, dim])


def _relative_index(window):
    y, x = (a.ravel() for a in np.meshgrid(range(window), range(window), indexing="ij"))
    down = y[:, None] - y[None] + window - 1
    along = x[:, None] - x[None] + window - 1
    return down * (2 * window - 1) + along


def _shift_mask(side, window, shift):
    """-100 for tokens that were no neighbours before the shift: f32 [windows, tokens, tokens]."""
    region = np.zeros(side, np.int64)
    region[side - window : side - shift] = 1
    region[side - shift :] = 2
    regions = region[:, None] * 3 + region[None]
    n = side // window
    regions = regions.reshape(n, window, n, window).transpose(0, 2, 1, 3).reshape(n * n, window * window)
    return np.where(regions[:, :, None] == regions[:, None], 0, -100).astype(np.float32)


def _count(weights, pattern):
    return 1 + max(int(m[1]) for m in (re.match(pattern, name) for name in weights) if m)

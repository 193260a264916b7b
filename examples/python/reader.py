"""Reads an integer checkpoint of fqvit and runs it, written from docs/integer-checkpoint.md alone.

    python3 reader.py m.safetensors PIXELS

PIXELS is a file of S*S*3 bytes: the RGB pixels that the model sees, row by row. Prints the codes of
the logits, or of the features of a backbone, as JSON.
"""

import hashlib
import json
import sys

import numpy as np

DTYPES = {"U8": np.uint8, "I8": np.int8, "I32": np.int32, "U32": np.uint32}


def read(path):
    """The description of a checkpoint, and its tensors by name."""
    with open(path, "rb") as file:
        data = file.read()
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    metadata = header.pop("__metadata__")
    check_digest(data, metadata["sha256"])
    description = json.loads(metadata["fqvit"])
    if description["format"] != "fqvit-integer" or description["version"] != 2:
        raise ValueError(f"{path}: expected an integer checkpoint of version 2")
    tensors = {}
    for name, entry in header.items():
        first, last = entry["data_offsets"]
        values = np.frombuffer(data[end + first : end + last], DTYPES[entry["dtype"]])
        tensors[name] = values.reshape(entry["shape"])
    return description, tensors


def check_digest(data, digest):
    at = data.index(f'"{digest}"'.encode()) + 1
    zeroed = data[:at] + b"0" * 64 + data[at + 64 :]
    if hashlib.sha256(zeroed).hexdigest() != digest:
        raise ValueError("the file is damaged")


class Activation:
    """Codes [rows, columns], and what the layers that read them must know."""

    def __init__(self, codes, zero=0, order=None, factors=None, heads=None, kind="codes"):
        self.codes = codes.astype(np.int64)
        self.zero = zero
        self.order = order  # (side, window, shift), or None for reading order
        self.factors = factors
        self.heads = heads  # (windows, heads, queries), of scores and probabilities
        self.kind = kind

    def centred(self):
        return self.codes - self.zero

    def windows(self):
        """The number of windows, and of tokens in each."""
        count = (self.order[0] // self.order[1]) ** 2 if self.order else 1
        return count, len(self.codes) // count


def int32(values):
    """Wraps to 32 bits."""
    return np.asarray(values, np.int64).astype(np.int32).astype(np.int64)


def requantised(acc, multiplier, layer):
    shifted = int32(int32(acc) << layer["left"])
    return (shifted * multiplier + (1 << (layer["right"] - 1))) >> layer["right"]


def saturated(values, layer, highest=None):
    """Codes of a layer: adds the zero point and limits."""
    top = highest or 2 ** layer.get("bits", 8) - 1
    return np.clip(values + layer["zeroPoint"], 0, top)


class Model:
    def __init__(self, path):
        self.description, self.tensors = read(path)
        self.size = self.description["preprocessing"]["imageSize"]

    def run(self, pixels):
        """The codes of the logits, or of the features of a backbone, for pixels u8 [S, S, 3]."""
        self.pixels = np.asarray(pixels, np.uint8).reshape(self.size, self.size, 3)
        made = {}
        for layer in self.description["layers"]:
            kind = KINDS.get(layer["kind"])
            if kind is None:
                raise ValueError(f"{layer['name']}: unknown kind {layer['kind']}")
            reads = [made[name] for name in layer["reads"]]
            made[layer["name"]] = kind(self, layer, *reads)
        outputs = self.description["outputs"]
        return made[outputs.get("logits", outputs["features"]["layer"])].codes[0]

    def tensor(self, layer, suffix):
        return self.tensors[f"{layer.get('parameters', layer['name'])}.{suffix}"]

    def integers(self, layer, suffix):
        return self.tensor(layer, suffix).astype(np.int64)

    def factors(self, layer):
        return self.integers(layer, "factors") if layer.get("factors") else None


def patches(model, layer):
    p = layer["patch"]
    side = model.size // p
    table = model.tensor(layer, "table")
    codes = np.stack([table[c][model.pixels[:, :, c]] for c in range(3)])  # [3, S, S]
    rows = codes.reshape(3, side, p, side, p).transpose(1, 3, 0, 2, 4).reshape(side * side, -1)
    return Activation(rows, layer["zeroPoint"])


def tokens(model, layer, x):
    rows = model.tensor(layer, "table")[x.codes]
    if layer["prefix"] > 0:
        rows = np.concatenate([model.tensor(layer, "first"), rows])
    return Activation(rows, layer["zeroPoint"])


def constant(model, layer):
    return Activation(model.tensor(layer, "codes"), layer["zeroPoint"])


def linear(model, layer, x):
    weight = model.tensor(layer, "weight")
    inputs = x.codes.shape[1]
    if layer["weightBits"] == 4:
        nibbles = np.stack([weight & 15, weight >> 4], axis=2).reshape(len(weight), -1)
        weight = nibbles[:, :inputs].astype(np.int64) - 8
    # float64 holds these products exactly, and multiplies faster than int64
    acc = x.centred().astype(np.float64) @ weight.T.astype(np.float64)
    acc = acc.astype(np.int64) + model.integers(layer, "bias")
    out = requantised(acc, model.integers(layer, "multiplier"), layer)
    if layer.get("fine"):
        return Activation(saturated(out, layer, 4095), layer["zeroPoint"], x.order, kind="fine")
    return Activation(saturated(out, layer), layer["zeroPoint"], x.order, model.factors(layer))


def per_head(x, part, heads):
    """q (part 0), k (1) or v (2) of every window and head: [windows, heads, tokens, d]."""
    windows, count = x.windows()
    dim = x.codes.shape[1] // 3
    values = x.centred()[:, part * dim : (part + 1) * dim]
    return values.reshape(windows, count, heads, dim // heads).transpose(0, 2, 1, 3)


def scores(model, layer, x):
    heads = layer["heads"]
    queries = layer.get("queries", x.windows()[1])
    q, k = per_head(x, 0, heads)[:, :, :queries], per_head(x, 1, heads)
    acc = q @ k.transpose(0, 1, 3, 2)
    out = saturated(requantised(acc, layer["multiplier"], layer), layer)
    shape = (len(q), heads, queries)
    return Activation(out.reshape(-1, out.shape[-1]), layer["zeroPoint"], x.order, heads=shape)


def bias(model, layer, x, table):
    count = x.codes.shape[1]
    w = int(round(count**0.5))
    y, column = np.divmod(np.arange(count), w)
    row = (y[:, None] - y + w - 1) * (2 * w - 1) + column[:, None] - column + w - 1
    term = table.centred()[row].transpose(2, 0, 1)  # [heads, tokens, tokens]
    windows, heads, queries = x.heads
    q = x.centred().reshape(windows, heads, queries, count)
    sums = int32(q * layer["multiplier"] + term * layer["biasMultiplier"] + (1 << (layer["shift"] - 1)))
    out = saturated(sums >> layer["shift"], layer).reshape(-1, count)
    return Activation(out, layer["zeroPoint"], x.order, heads=x.heads)


def neighbours(order, window, count):
    """Which tokens of a window count for which: bool [tokens, tokens]."""
    side, w, shift = order
    across = side // w
    y, x = np.divmod(np.arange(count), w)
    mask = np.ones((count, count), bool)
    if shift > 0 and window % across == across - 1:
        mask &= (x[:, None] >= w - shift) == (x >= w - shift)
    if shift > 0 and window >= across * (across - 1):
        mask &= (y[:, None] >= w - shift) == (y >= w - shift)
    return mask


def logarithm(x):
    """floor(2048 * log2 x), bit by bit."""
    n = x.bit_length() - 1
    rest = x << (31 - n)
    for _ in range(11):
        rest = (rest * rest) >> 31
        more = rest >> 32
        rest >>= more
        n = 2 * n + more
    return n


def softmax(model, layer, x):
    table = model.integers(layer, "table")
    windows, heads, queries = x.heads
    count = x.codes.shape[1]
    q = x.codes.reshape(windows, heads * queries, count)
    out = np.empty_like(q)
    for window in range(windows):
        keep = np.ones((count, count), bool)
        if x.order:
            keep = neighbours(x.order, window, count)
        keep = np.tile(keep[:queries], (heads, 1))
        out[window] = probabilities(layer, table, q[window], keep)
    return Activation(out.reshape(-1, count), heads=x.heads, order=x.order, kind=layer["codes"])


def probabilities(layer, table, q, keep):
    distance = np.where(keep, q, -1).max(axis=1, keepdims=True) - q
    e = np.where(keep, table[np.where(keep, distance, 0)], 0)
    total = e.sum(axis=1, keepdims=True)
    if layer["codes"] == "uniform":
        inverse = (layer["levels"] << 32) // total
        return np.minimum((e * inverse + (1 << 43)) >> 44, 255)
    if layer["codes"] == "eighths":
        first = logarithm(int(table[0]))
        logs = np.array([[logarithm(int(one)) - first + 128] for one in total[:, 0]])
        code = (layer["slope"] * distance + logs) >> 8
        return np.where(keep & (code <= 127), code, 255)
    ratio = (2 * total + e) // np.maximum(2 * e, 1)
    floor = np.frexp(np.maximum(ratio, 1).astype(np.float64))[1].astype(np.int64) - 1
    code = floor + (2 * ratio >= 3 << floor)
    return np.where((e > 0) & (code <= 15), code, 255)


EIGHTHS = np.array([32767, 30048, 27554, 25268, 23170, 21247, 19484, 17867])


def weights_of(kind):
    """P of every code, int64 [256]."""
    code = np.arange(256)
    if kind == "uniform":
        return code
    if kind == "log2":
        return np.where(code > 15, 0, -(1 << np.clip(15 - code, 0, 15)))
    power = np.clip(15 - (code >> 3), 0, 15)
    return np.where(code > 127, 0, (-(EIGHTHS[code & 7] << power) + (1 << 14)) >> 15)


def context(model, layer, p, x):
    windows, heads, queries = p.heads
    v = per_head(x, 2, heads)
    weight = weights_of(p.kind)[p.codes].reshape(windows, heads, queries, -1)
    out = saturated(requantised(weight @ v, layer["multiplier"], layer), layer)
    rows = out.transpose(0, 2, 1, 3).reshape(windows * queries, -1)
    return Activation(rows, layer["zeroPoint"], x.order)


def window_order(side, w, shift):
    """For each row in window order, its token in reading order."""
    rolled = (np.arange(side) + shift) % side
    tokens_of = rolled[:, None] * side + rolled
    across = side // w
    return tokens_of.reshape(across, w, across, w).transpose(0, 2, 1, 3).reshape(-1)


def add(model, layer, a, b):
    second = b.centred()
    if b.order:
        restored = np.empty_like(second)
        restored[window_order(*b.order)] = second
        second = restored
    first = a.centred()[: len(second)]
    ma, mb = model.integers(layer, "multiplier")
    sums = int32(first * ma + second * mb + (1 << (layer["shift"] - 1)))
    return Activation(
        saturated(sums >> layer["shift"], layer), layer["zeroPoint"], factors=model.factors(layer)
    )


def layernorm(model, layer, x):
    values = x.centred()
    if x.factors is not None:
        values = values << x.factors
    order = x.order
    side = int(round(len(values) ** 0.5))
    if "rows" in layer:
        values = values[: layer["rows"]]
    if "window" in layer:
        order = (side, layer["window"]["size"], layer["window"]["shift"])
        values = values[window_order(*order)]
    if layer.get("merge"):
        grid = values.reshape(side // 2, 2, side // 2, 2, -1)
        parts = [grid[:, 0, :, 0], grid[:, 1, :, 0], grid[:, 0, :, 1], grid[:, 1, :, 1]]
        values = np.concatenate(parts, axis=2).reshape((side // 2) ** 2, -1)
    gain, offset = model.integers(layer, "gain"), model.integers(layer, "bias")
    rows = [normalised(row, gain, offset, layer["shift"]) for row in values]
    out = saturated(np.stack(rows), layer)
    if layer.get("joined"):
        out = out.reshape(1, -1)
    return Activation(out, layer["zeroPoint"], order)


def normalised(x, gain, offset, shift):
    c = len(x)
    total = int(x.sum())
    v = c * int((x * x).sum()) - total * total
    even = (64 - (v | 1).bit_length()) & ~1
    reciprocal = (2**62 - 1) // root(max(v, 1) << even)
    n = 38 - even // 2
    t = int32(((c * x - total) * reciprocal + (1 << (n - 1))) >> n)
    u = int32((t * gain + (1 << (shift - 1))) >> shift)
    return int32(u + offset + 2048) >> 12


def root(n):
    """floor of the square root."""
    x = 1 << ((n.bit_length() + 1) // 2)
    while True:
        y = (x + n // x) // 2
        if y >= x:
            return x
        x = y


def gelu(model, layer, x):
    return Activation(model.tensor(layer, "table")[x.codes], layer["zeroPoint"], x.order)


def pool(model, layer, x):
    acc = x.centred()[layer["skip"] :].sum(axis=0, keepdims=True)
    out = saturated(requantised(acc, layer["multiplier"], layer), layer)
    return Activation(out, layer["zeroPoint"], factors=model.factors(layer))


KINDS = {
    kind.__name__: kind
    for kind in [
        *[patches, tokens, constant, linear, scores, bias, softmax],
        *[context, add, layernorm, gelu, pool],
    ]
}

if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    model = Model(sys.argv[1])
    print(json.dumps(model.run(np.fromfile(sys.argv[2], np.uint8)).tolist()))

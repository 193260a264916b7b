"""DeiT and Swin with timm's tensor names and shapes, small enough for images of 32 pixels."""

import torch
import torch.nn.functional as F
from torch import nn

from data import IMAGE_SIZE, LABELS


def split_heads(qkv, heads):
    b, n, d = qkv.shape
    return qkv.view(b, n, 3, heads, d // 3 // heads).permute(2, 0, 3, 1, 4)


class Attention(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x):
        q, k, v = split_heads(self.qkv(x), self.heads)
        context = ((q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)).softmax(-1) @ v
        return self.proj(context.transpose(1, 2).reshape(x.shape))


class WindowAttention(nn.Module):
    """Attention inside windows of a map [b, side, side, dim], with a learned bias per distance."""

    def __init__(self, dim, heads, side, window, shift):
        super().__init__()
        self.heads, self.window, self.shift = heads, window, shift
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        places = torch.cartesian_prod(torch.arange(window), torch.arange(window))
        offsets = places[:, None] - places[None] + window - 1
        index = offsets[..., 0] * (2 * window - 1) + offsets[..., 1]
        self.register_buffer("index", index, persistent=False)
        # A window of a shifted map holds tokens from both ends, which must not see each other.
        ends = torch.arange(side).ge(side - shift).long() + torch.arange(side).ge(side - window).long()
        regions = self.partition((3 * ends[:, None] + ends)[None, :, :, None].float())[..., 0]
        mask = torch.zeros(len(regions), 1, window**2, window**2)
        mask.masked_fill_(regions[:, None, :, None] != regions[:, None, None, :], -100.0)
        self.register_buffer("mask", mask if shift else None, persistent=False)

    def partition(self, x):
        b, side, _, d = x.shape
        w = self.window
        x = x.view(b, side // w, w, side // w, w, d).transpose(2, 3)
        return x.reshape(-1, w * w, d)

    def merge(self, windows, shape):
        b, side, _, d = shape
        w = self.window
        return windows.view(b, side // w, side // w, w, w, d).transpose(2, 3).reshape(shape)

    def forward(self, x):
        shape = x.shape
        if self.shift:
            x = x.roll((-self.shift, -self.shift), (1, 2))
        x = self.partition(x)
        q, k, v = split_heads(self.qkv(x), self.heads)
        scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
        scores = scores + self.relative_position_bias_table[self.index].permute(2, 0, 1)
        if self.shift:
            windows = scores.view(shape[0], -1, *scores.shape[1:]) + self.mask
            scores = windows.view(scores.shape)
        context = (scores.softmax(-1) @ v).transpose(1, 2).reshape(x.shape)
        x = self.merge(self.proj(context), shape)
        return x.roll((self.shift, self.shift), (1, 2)) if self.shift else x


class Mlp(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.fc1 = nn.Linear(dim, 4 * dim)
        self.fc2 = nn.Linear(4 * dim, dim)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x)))


class Block(nn.Module):
    def __init__(self, dim, attention, eps):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=eps)
        self.attn = attention
        self.norm2 = nn.LayerNorm(dim, eps=eps)
        self.mlp = Mlp(dim)

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class VisionTransformer(nn.Module):
    family, name = "deit", "deit_cifar10"

    def __init__(self, dim=128, depth=6, heads=4, patch=4):
        super().__init__()
        self.patch, self.heads, self.dims = patch, (heads,), (dim, dim)
        self.side = IMAGE_SIZE // patch
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, self.side**2 + 1, dim))
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, dim, patch, patch)})
        self.blocks = nn.ModuleList(Block(dim, Attention(dim, heads), 1e-6) for _ in range(depth))
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.head = nn.Linear(dim, len(LABELS))
        initialize(self)
        angles = torch.arange(self.side)[:, None] / 10000 ** (torch.arange(dim // 4) / (dim // 4))
        rows = angles[:, None].expand(self.side, self.side, -1)
        columns = angles[None].expand(self.side, self.side, -1)
        waves = torch.cat([rows.sin(), rows.cos(), columns.sin(), columns.cos()], -1)
        with torch.no_grad():
            self.pos_embed[0, 1:] += 0.5 * waves.reshape(-1, dim)

    def window(self, x, done):
        """6 by 6 patches of each image for the first 60 % of the training: 1.7 times as fast."""
        place, side = (0, 0), self.side
        if done < 0.6:
            side = self.side * 3 // 4
            place = tuple(torch.randint(self.side - side + 1, (2,)).tolist())
        row, column = (self.patch * i for i in place)
        return x[:, :, row : row + self.patch * side, column : column + self.patch * side], place

    def forward(self, x, place=(0, 0), with_maps=False):
        """Logits [b, classes]; the images start at the patch (row, column) `place` of the whole."""
        x = self.patch_embed["proj"](x)
        side = x.shape[-1]
        x = x.flatten(2).transpose(1, 2)
        positions = self.pos_embed[:, 1:].view(1, self.side, self.side, -1)
        positions = positions[:, place[0] : place[0] + side, place[1] : place[1] + side].flatten(1, 2)
        first = self.cls_token + self.pos_embed[:, :1]
        x = torch.cat([first.expand(len(x), -1, -1), x + positions], 1)
        maps = []
        depth = len(self.blocks)
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i + 1 in (depth // 2, depth - 1):
                maps.append(x[:, 1:].unflatten(1, (side, side)))
        logits = self.head(self.norm(x[:, 0]))
        return (logits, maps) if with_maps else logits


class PatchMerging(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.norm = nn.LayerNorm(4 * dim)
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)

    def forward(self, x):
        parts = [x[:, row::2, column::2] for column in (0, 1) for row in (0, 1)]
        return self.reduction(self.norm(torch.cat(parts, -1)))


class Stage(nn.Module):
    def __init__(self, dim, depth, heads, side, window, last):
        super().__init__()
        window, shift = min(window, side), window // 2 if side > window else 0
        self.blocks = nn.ModuleList(
            Block(dim, WindowAttention(dim, heads, side, window, shift if i % 2 else 0), 1e-5) for i in range(depth)
        )
        if not last:
            self.downsample = PatchMerging(dim)


class SwinTransformer(nn.Module):
    family, name = "swin", "swin_cifar10"

    def __init__(self, dim=48, depths=(2, 4, 2), heads=(3, 6, 12), patch=2, window=4):
        super().__init__()
        stages = len(depths)
        self.patch, self.heads, self.dims = patch, heads, tuple(dim * 2**i for i in range(stages))
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, dim, patch, patch), "norm": nn.LayerNorm(dim)})
        self.layers = nn.ModuleList(
            Stage(dim * 2**i, depths[i], heads[i], IMAGE_SIZE // patch // 2**i, window, i == stages - 1)
            for i in range(stages)
        )
        self.norm = nn.LayerNorm(self.dims[-1])
        self.head = nn.Linear(self.dims[-1], len(LABELS))
        initialize(self)

    def window(self, x, done):
        return x, None

    def forward(self, x, place=None, with_maps=False):
        x = self.patch_embed["norm"](self.patch_embed["proj"](x).permute(0, 2, 3, 1))
        maps = []
        for stage in self.layers:
            for block in stage.blocks:
                x = block(x)
            maps.append(x)
            if hasattr(stage, "downsample"):
                x = stage.downsample(x)
        logits = self.head(self.norm(x).mean((1, 2)))
        return (logits, maps) if with_maps else logits


@torch.no_grad()
def initialize(model):
    """Start where trained transformers end up ("mimetic initialization", Trockman and Kolter 2023).

    Tokens attend to tokens like themselves and value times projection is close
    to minus the identity; with so few epochs the head start counts. In windows,
    each head starts by looking at one neighbour, as the taps of a convolution do.
    """
    for name, p in model.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(p)
        elif p.ndim == 2 or name in ("cls_token", "pos_embed"):
            nn.init.trunc_normal_(p, std=0.02)
    for attention in model.modules():
        if not isinstance(attention, (Attention, WindowAttention)):
            continue
        dim = attention.proj.weight.shape[0]
        eye = torch.eye(dim)
        query, key, value = attention.qkv.weight.split(dim)
        size = dim // attention.heads
        for head in range(0, dim, size):
            # The best product of two matrices of the head's rank.
            u, s, vt = torch.linalg.svd(0.7 * (torch.randn(dim, dim) / dim**0.5 + eye))
            query[head : head + size] = (u * s.sqrt())[:, :size].T
            key[head : head + size] = (vt.T * s.sqrt())[:, :size].T
        u, s, vt = torch.linalg.svd(0.4 * (torch.randn(dim, dim) / dim**0.5 - eye))
        value.copy_(s.sqrt()[:, None] * vt)
        attention.proj.weight.copy_(u * s.sqrt())
        if isinstance(attention, WindowAttention):
            span = torch.arange(1 - attention.window, attention.window).float()
            for head in range(attention.heads):
                row, column = torch.randint(-1, 2, (2,))
                distance = (span[:, None] - row) ** 2 + (span - column) ** 2
                attention.relative_position_bias_table[:, head] = -distance.flatten().clamp(max=8) / 2

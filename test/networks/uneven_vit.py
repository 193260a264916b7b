"""Writes fixtures/uneven-vit.safetensors: a ViT whose blocks differ in heads and hidden width, with
random weights, two pictures and PyTorch's logits for them.

    python test/networks/uneven_vit.py
"""

import os

import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn.functional import gelu, layer_norm, scaled_dot_product_attention

SIZE, PATCH, DIM, CLASSES = 16, 4, 32, 5
BLOCKS = [(4, 40), (1, 96), (2, 64)]  # heads and hidden channels
TOKENS = (SIZE // PATCH) ** 2 + 1


def parameters():
    torch.manual_seed(7)

    def normal(*shape, spread=1.0):
        fan_in = torch.Size(shape[1:]).numel() if len(shape) > 1 else 1
        return spread * torch.randn(*shape) / fan_in**0.5

    p = {
        "patch_embed.proj.weight": normal(DIM, 3, PATCH, PATCH, spread=2),
        "patch_embed.proj.bias": normal(DIM, spread=0.1),
        "cls_token": normal(1, 1, DIM, spread=3),
        "pos_embed": 0.3 * torch.randn(1, TOKENS, DIM),
        "norm.weight": 1 + normal(DIM, spread=0.2),
        "norm.bias": normal(DIM, spread=0.1),
        "head.weight": normal(CLASSES, DIM, spread=2),
        "head.bias": normal(CLASSES, spread=0.1),
    }
    for i, (_, hidden) in enumerate(BLOCKS):
        shapes = {"attn.qkv": (3 * DIM, DIM), "attn.proj": (DIM, DIM), "mlp.fc1": (hidden, DIM), "mlp.fc2": (DIM, hidden)}
        for name, shape in shapes.items():
            p[f"blocks.{i}.{name}.weight"] = normal(*shape, spread=1.5)
            p[f"blocks.{i}.{name}.bias"] = normal(shape[0], spread=0.1)
        for name in ("norm1", "norm2"):
            p[f"blocks.{i}.{name}.weight"] = 1 + normal(DIM, spread=0.2)
            p[f"blocks.{i}.{name}.bias"] = normal(DIM, spread=0.1)
    return p


def forward(p, images):
    """Logits of images [B, 3, S, S]."""

    def linear(name, x):
        return nn.functional.linear(x, p[f"{name}.weight"], p[f"{name}.bias"])

    def norm(name, x):
        return layer_norm(x, (DIM,), p[f"{name}.weight"], p[f"{name}.bias"], 1e-6)

    x = nn.functional.conv2d(images, p["patch_embed.proj.weight"], p["patch_embed.proj.bias"], PATCH)
    x = torch.cat([p["cls_token"].expand(len(images), -1, -1), x.flatten(2).transpose(1, 2)], 1)
    x = x + p["pos_embed"]
    for i, (heads, _) in enumerate(BLOCKS):
        block = f"blocks.{i}"
        qkv = linear(f"{block}.attn.qkv", norm(f"{block}.norm1", x))
        q, k, v = qkv.reshape(len(x), TOKENS, 3, heads, DIM // heads).permute(2, 0, 3, 1, 4)
        attention = scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(x.shape)
        x = x + linear(f"{block}.attn.proj", attention)
        x = x + linear(f"{block}.mlp.fc2", gelu(linear(f"{block}.mlp.fc1", norm(f"{block}.norm2", x))))
    return linear("head", norm("norm", x)[:, 0])


def main():
    p = parameters()
    torch.manual_seed(8)
    pixels = torch.randint(0, 256, (2, SIZE, SIZE, 3), dtype=torch.uint8)
    with torch.inference_mode():
        logits = forward(p, ((pixels / 255 - 0.5) / 0.5).permute(0, 3, 1, 2))
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fixtures")
    os.makedirs(folder, exist_ok=True)
    save_file({**p, "pixels": pixels, "logits": logits}, os.path.join(folder, "uneven-vit.safetensors"))


main()

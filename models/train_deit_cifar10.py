"""Train a small DeiT on CIFAR-10 from scratch, on a CPU, and write its float weights.

The tensors carry the names and shapes of timm's VisionTransformer, and the
__metadata__ of the written .safetensors file carries what the quantiser has to
know about the model, so that the file needs no companion.
"""

import argparse
import copy
import json
import math
import os
import struct
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

LABELS = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
MEAN = [0.4914, 0.4822, 0.4465]
STD = [0.2470, 0.2435, 0.2616]
IMAGE_SIZE = 32
PATCH_SIZE = 4


class Attention(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x):
        b, n, d = x.shape
        q, k, v = self.qkv(x).view(b, n, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        # Not F.scaled_dot_product_attention: in bfloat16 on a CPU its backward pass takes half of the step.
        attention = (q * (d // self.heads) ** -0.5 @ k.transpose(-2, -1)).softmax(-1)
        return self.proj((attention @ v).transpose(1, 2).reshape(b, n, d))


class Mlp(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.fc1 = nn.Linear(dim, 4 * dim)
        self.fc2 = nn.Linear(4 * dim, dim)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x)))


class Block(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn = Attention(dim, heads)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = Mlp(dim)

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class PatchEmbed(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.proj = nn.Conv2d(3, dim, PATCH_SIZE, PATCH_SIZE)

    def forward(self, x):
        return self.proj(x).flatten(2).transpose(1, 2)


class VisionTransformer(nn.Module):
    def __init__(self, dim, depth, heads):
        super().__init__()
        tokens = (IMAGE_SIZE // PATCH_SIZE) ** 2 + 1
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, tokens, dim))
        self.patch_embed = PatchEmbed(dim)
        self.blocks = nn.ModuleList(Block(dim, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.head = nn.Linear(dim, len(LABELS))
        self.init_weights()

    @torch.no_grad()
    def init_weights(self):
        """Start where trained ViTs end up ("mimetic initialization", Trockman and Kolter 2023).

        Tokens attend to tokens like themselves and value times projection is
        close to minus the identity; with so few epochs the head start counts.
        """
        for name, p in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(p)
            elif p.ndim == 2:
                nn.init.trunc_normal_(p, std=0.02)
        nn.init.normal_(self.cls_token, std=0.02)
        nn.init.trunc_normal_(self.pos_embed, std=0.02)

        dim = self.cls_token.shape[-1]
        side = IMAGE_SIZE // PATCH_SIZE
        angles = torch.arange(side)[:, None] / 10000 ** (torch.arange(dim // 4) / (dim // 4))
        rows = angles[:, None].expand(side, side, -1)
        columns = angles[None].expand(side, side, -1)
        waves = torch.cat([rows.sin(), rows.cos(), columns.sin(), columns.cos()], -1)
        self.pos_embed[0, 1:] = 0.5 * waves.reshape(side * side, dim)

        eye = torch.eye(dim)
        for block in self.blocks:
            query, key, value = block.attn.qkv.weight.split(dim)
            size = dim // block.attn.heads
            for head in range(0, dim, size):
                # The best product of two matrices of the head's rank.
                u, s, vt = torch.linalg.svd(0.7 * (torch.randn(dim, dim) / dim**0.5 + eye))
                query[head : head + size] = (u * s.sqrt())[:, :size].T
                key[head : head + size] = (vt.T * s.sqrt())[:, :size].T
            u, s, vt = torch.linalg.svd(0.4 * (torch.randn(dim, dim) / dim**0.5 - eye))
            value.copy_(s.sqrt()[:, None] * vt)
            block.attn.proj.weight.copy_(u * s.sqrt())

    def forward(self, x):
        x = self.patch_embed(x)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], 1) + self.pos_embed
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x[:, 0]))


def load_split(data, split, runs):
    """The pictures of a split as uint8 [n, 3, 32, 32] and their classes; the JPEGs are decoded once."""
    cache = runs / f"cifar10_{split}.npy"
    if not cache.exists():
        images = []
        for label in LABELS:
            for path in sorted((data / split / label).iterdir()):
                images.append(np.asarray(Image.open(path).convert("RGB")).transpose(2, 0, 1))
        partial = runs / f"cifar10_{split}.tmp.npy"
        np.save(partial, np.stack(images))
        os.replace(partial, cache)
    images = torch.from_numpy(np.load(cache))
    # Every class of CIFAR-10 has the same number of pictures.
    return images, torch.arange(len(LABELS)).repeat_interleave(len(images) // len(LABELS))


def normalize(images):
    mean = torch.tensor(MEAN).view(1, 3, 1, 1) * 255
    std = torch.tensor(STD).view(1, 3, 1, 1) * 255
    return (images.float() - mean) / std


def crop_and_flip(padded):
    """A random 32x32 window of each padded picture, mirrored for half of them."""
    n, margin = len(padded), padded.shape[-1] - IMAGE_SIZE
    span = torch.arange(IMAGE_SIZE)
    rows = torch.randint(margin + 1, (n, 1)) + span
    columns = torch.randint(margin + 1, (n, 1)) + torch.where(torch.rand(n, 1) < 0.5, span, span.flip(0))
    windows = padded[torch.arange(n)[:, None, None], :, rows[:, :, None], columns[:, None, :]]
    return windows.permute(0, 3, 1, 2)


def cutmix(x, targets):
    """Paste one random box of each picture's neighbour into it; the targets mix by area."""
    side = IMAGE_SIZE * math.sqrt(torch.rand(()).item())
    top, left = (torch.rand(2) * IMAGE_SIZE).tolist()
    y0, y1 = (min(max(round(top + s * side / 2), 0), IMAGE_SIZE) for s in (-1, 1))
    x0, x1 = (min(max(round(left + s * side / 2), 0), IMAGE_SIZE) for s in (-1, 1))
    share = (y1 - y0) * (x1 - x0) / IMAGE_SIZE**2
    x[:, :, y0:y1, x0:x1] = x.roll(1, 0)[:, :, y0:y1, x0:x1]
    return x, targets.lerp(targets.roll(1, 0), share)


@torch.no_grad()
def accuracy(model, images, classes):
    right = 0
    for x, y in zip(images.split(500), classes.split(500)):
        right += (model(normalize(x)).argmax(1) == y).sum().item()
    return 100 * right / len(classes)


def save_safetensors(path, tensors, metadata):
    header, offset = {"__metadata__": metadata}, 0
    for name, t in tensors.items():
        size = 4 * t.numel()
        header[name] = {"dtype": "F32", "shape": list(t.shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    # Renamed into place, so that a cut run leaves the last whole file.
    partial = path.with_name(path.name + ".tmp")
    with open(partial, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for t in tensors.values():
            f.write(t.detach().contiguous().numpy().astype("<f4").tobytes())
    os.replace(partial, path)


def export(model, path):
    description = {
        "architecture": "deit",
        "name": "deit_cifar10",
        "num_heads": model.blocks[0].attn.heads,
        "image_size": IMAGE_SIZE,
        "patch_size": PATCH_SIZE,
        "mean": MEAN,
        "std": STD,
        "crop_pct": 1.0,
        "interpolation": "bicubic",
        "labels": LABELS,
    }
    save_safetensors(path, model.state_dict(), {"format": "pt", "fqvit": json.dumps(description)})


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with train/CLASS and test/CLASS")
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument("--epochs", type=float)
    length.add_argument("--minutes", type=float, help="wall time that the schedule is stretched over")
    parser.add_argument("--seed", type=int, default=0)
    runs = Path(__file__).parent / "runs"
    parser.add_argument("--runs", type=Path, default=runs, help="cached pictures and the checkpoint")
    parser.add_argument("--out", type=Path, required=True, help=".safetensors file for the averaged weights")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in --runs")
    parser.add_argument("--compile", action="store_true", help="use torch.compile (needs a C++ compiler)")
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--depth", type=int, default=6)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--weight-decay", type=float, default=0.05)
    parser.add_argument("--cutmix", type=float, default=0.5, help="share of the batches mixed, at the start")
    parser.add_argument("--eval-every", type=int, default=3, help="epochs between two test accuracies")
    return parser.parse_args()


def main():
    args = parse_args()
    args.runs.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(args.seed)
    images, classes = load_split(args.data, "train", args.runs)
    test = load_split(args.data, "test", args.runs)
    images = F.pad(images.float(), (4, 4, 4, 4), mode="reflect").byte()

    model = VisionTransformer(args.dim, args.depth, args.heads)
    average = copy.deepcopy(model).requires_grad_(False)
    forward = torch.compile(model) if args.compile else model

    matrices, ends, vectors = [], [], []
    for name, p in model.named_parameters():
        if p.ndim == 1 or name in ("cls_token", "pos_embed"):
            vectors.append(p)
        elif name.startswith("blocks."):
            matrices.append(p)
        else:
            ends.append(p)
    # Muon for the matrices of the blocks: 54 % after one epoch, where AdamW at the same rate reached 39 %.
    optimizers = [
        torch.optim.AdamW(
            [{"params": ends, "weight_decay": args.weight_decay}, {"params": vectors, "weight_decay": 0.0}],
            lr=args.lr,
            betas=(0.9, 0.99),
        ),
        torch.optim.Muon(
            matrices, lr=args.lr, weight_decay=args.weight_decay, adjust_lr_fn="match_rms_adamw"
        ),
    ]

    steps = len(images) // args.batch
    epoch, step, before = 0, 0, 0.0
    checkpoint = args.runs / "deit_cifar10.pt"
    if args.resume:
        state = torch.load(checkpoint)
        model.load_state_dict(state["model"])
        average.load_state_dict(state["average"])
        for optimizer, saved in zip(optimizers, state["optimizers"]):
            optimizer.load_state_dict(saved)
        torch.set_rng_state(state["rng"])
        epoch, step, before = state["epoch"], state["step"], state["seconds"]

    parameters = sum(p.numel() for p in model.parameters())
    print(f"{parameters} parameters, dim {args.dim}, depth {args.depth}, heads {args.heads}", flush=True)
    start = time.time() - before

    def progress():
        return (time.time() - start) / (60 * args.minutes) if args.minutes else step / (args.epochs * steps)

    while progress() < 1:
        epoch_start, first, total = time.time(), step, 0.0
        model.train()
        for picked in torch.randperm(len(images))[: steps * args.batch].split(args.batch):
            done = progress()
            if done >= 1:
                break
            rate = args.lr * min(done / 0.05, 0.5 + 0.5 * math.cos(math.pi * done))
            for optimizer in optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = rate
            x = normalize(crop_and_flip(images[picked]))
            targets = F.one_hot(classes[picked], len(LABELS)).float()
            # The mixing fades out: the last epochs see the pictures as the test set shows them.
            if torch.rand(()).item() < args.cutmix * (1 - done):
                x, targets = cutmix(x, targets)
            with torch.autocast("cpu", torch.bfloat16):
                logits = forward(x)
            loss = F.cross_entropy(logits.float(), targets, label_smoothing=0.1)
            model.zero_grad()
            loss.backward()
            for optimizer in optimizers:
                optimizer.step()
            step += 1
            total += loss.item()
            # A short memory at first, so that the average does not drag the initial weights along.
            keep = min(0.998, step / (step + 10))
            with torch.no_grad():
                torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 1 - keep)
        epoch += 1
        speed = (step - first) * args.batch / (time.time() - epoch_start)
        loss = total / max(step - first, 1)
        line = f"epoch {epoch} progress {min(progress(), 1):.3f} loss {loss:.4f} images/s {speed:.0f}"
        if epoch % args.eval_every == 0 or progress() >= 1:
            line += f" test top-1 {accuracy(average, *test):.2f}"
        print(line, flush=True)
        export(average, args.out)
        state = {
            "model": model.state_dict(),
            "average": average.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in optimizers],
            "rng": torch.get_rng_state(),
            "epoch": epoch,
            "step": step,
            "seconds": time.time() - start,
        }
        partial = checkpoint.with_suffix(".tmp")
        torch.save(state, partial)
        os.replace(partial, checkpoint)


if __name__ == "__main__":
    main()

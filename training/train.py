"""Train a bundled model on CIFAR-10 from scratch, on a CPU, and write its float weights.

The teacher (teacher.py) is trained first where no earlier run left one. The
transformer then learns from three things at once: the labels, the teacher's
class distribution on the same augmented picture, and the teacher's feature maps
("locality guidance", Li et al. 2022), a loss that fades away with time.

A run that was cut short goes on from its last epoch when started again. The
written .safetensors file has timm's names and shapes, and carries in
__metadata__ what the quantiser has to know, so that it needs no companion.
"""

import argparse
import copy
import json
import math
import os
import struct
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from data import IMAGE_SIZE, LABELS, MEAN, STD, accuracy, crop_and_flip, load_split, normalize, pad
from models import SwinTransformer, VisionTransformer
from muon import Muon
from teacher import WIDTHS, train_teacher

MODELS = {"deit": VisionTransformer, "swin": SwinTransformer}
EPOCHS = {"deit": 20, "swin": 15}


class Guide(nn.Module):
    """Linear maps from the student's tokens to the teacher's features there, and their error."""

    def __init__(self, dims, widths):
        super().__init__()
        self.linears = nn.ModuleList(nn.Linear(dim, width) for dim, width in zip(dims, widths))

    def forward(self, students, teachers):
        total = 0.0
        for linear, student, teacher in zip(self.linears, students, teachers):
            ratio = student.shape[1] // teacher.shape[-1]
            student = F.avg_pool2d(student.permute(0, 3, 1, 2), ratio).permute(0, 2, 3, 1)
            deviation, mean = torch.std_mean(teacher, (0, 2, 3), keepdim=True)
            total = total + F.mse_loss(linear(student), ((teacher - mean) / (deviation + 1e-3)).permute(0, 2, 3, 1))
        return total / len(students)


def cutmix(x, targets):
    """Paste a random box of the next image into each; targets mix by area."""
    size = x.shape[-1]
    side = size * math.sqrt(torch.rand(()).item())
    top, left = (torch.rand(2) * size).tolist()
    y0, y1 = (min(max(round(top + s * side / 2), 0), size) for s in (-1, 1))
    x0, x1 = (min(max(round(left + s * side / 2), 0), size) for s in (-1, 1))
    share = (y1 - y0) * (x1 - x0) / size**2
    x[:, :, y0:y1, x0:x1] = x.roll(1, 0)[:, :, y0:y1, x0:x1]
    return x, targets.lerp(targets.roll(1, 0), share)


def save_safetensors(path, tensors, metadata):
    """Saves half floats: a hundred times finer than the codes that the weights become."""
    path.parent.mkdir(parents=True, exist_ok=True)
    header, offset = {"__metadata__": metadata}, 0
    for name, t in tensors.items():
        size = 2 * t.numel()
        header[name] = {"dtype": "F16", "shape": list(t.shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    # Renames, so that an interrupted run leaves the last complete file.
    partial = path.with_name(path.name + ".tmp")
    with open(partial, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for t in tensors.values():
            f.write(t.detach().contiguous().numpy().astype("<f2").tobytes())
    os.replace(partial, path)


def export(model, path):
    description = {
        "architecture": model.family,
        "name": model.name,
        "num_heads": model.heads[0],
        "image_size": IMAGE_SIZE,
        "patch_size": model.patch,
        "mean": MEAN,
        "std": STD,
        "crop_pct": 1.0,
        "interpolation": "bicubic",
        "labels": LABELS,
    }
    save_safetensors(path, model.state_dict(), {"format": "pt", "fqvit": json.dumps(description)})


def optimizers_of(model, guide, lr, weight_decay):
    """Muon for the matrices inside the blocks, AdamW for the rest."""
    matrices, ends, vectors = [], list(guide.parameters()), []
    for name, p in model.named_parameters():
        if p.ndim == 1 or name in ("cls_token", "pos_embed") or "bias_table" in name:
            vectors.append(p)
        elif "blocks." in name or "downsample." in name:
            matrices.append(p)
        else:
            ends.append(p)
    groups = [{"params": ends, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    return [torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.99)), Muon(matrices, lr, weight_decay=weight_decay)]


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=MODELS)
    parser.add_argument("--data", type=Path, required=True, help="folder with train/CLASS and test/CLASS")
    parser.add_argument("--out", type=Path, required=True, help=".safetensors file for the averaged weights, half floats")
    runs = Path(__file__).parent / "runs"
    parser.add_argument("--runs", type=Path, default=runs, help="cached images, the teacher, the last epoch")
    parser.add_argument("--epochs", type=int, help="default: 20 for the deit, 15 for the swin")
    parser.add_argument("--threads", type=int, help="CPU threads (default: all)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--weight-decay", type=float, default=0.05)
    parser.add_argument("--cutmix", type=float, default=0.5, help="share of the batches that are mixed, at the start")
    args = parser.parse_args()
    args.epochs = args.epochs or EPOCHS[args.model]
    return args


def main():
    args = parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    teacher = train_teacher(args.data, args.runs)
    torch.manual_seed(args.seed)
    images, classes = load_split(args.data, "train", args.runs)
    test = load_split(args.data, "test", args.runs)
    images = pad(images, 4)

    model = MODELS[args.model]()
    average = copy.deepcopy(model).requires_grad_(False)
    guide = Guide(model.dims, WIDTHS[-len(model.dims) :])
    optimizers = optimizers_of(model, guide, args.lr, args.weight_decay)
    modules = {"model": model, "average": average, "guide": guide}
    epoch, seconds = 0, 0.0
    checkpoint = args.runs / f"{model.name}.pt"
    if checkpoint.exists():
        state = torch.load(checkpoint)
        for name, module in modules.items():
            module.load_state_dict(state[name])
        for optimizer, saved in zip(optimizers, state["optimizers"]):
            optimizer.load_state_dict(saved)
        torch.set_rng_state(state["rng"])
        epoch, seconds = state["epoch"], state["seconds"]

    print(f"{model.name}: {sum(p.numel() for p in model.parameters())} parameters", flush=True)
    steps = len(images) // args.batch
    while epoch < args.epochs:
        start, losses = time.time(), 0.0
        for step, picked in enumerate(torch.randperm(len(images))[: steps * args.batch].split(args.batch)):
            done = (epoch + step / steps) / args.epochs
            rate = args.lr * min(done * args.epochs, 0.5 + 0.5 * math.cos(math.pi * done))
            for optimizer in optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = rate
            x = normalize(crop_and_flip(images[picked]))
            targets = F.one_hot(classes[picked], len(LABELS)).float()
            # Mixing and guidance fade out: the last epochs see images like those of the test set.
            if torch.rand(()).item() < args.cutmix * (1 - done):
                x, targets = cutmix(x, targets)
            x, place = model.window(x, done)
            with torch.no_grad():
                features = teacher.features(x)
                opinion = teacher.classify(features[-1]).softmax(1)
            logits, maps = model(x, place, with_maps=True)
            guidance = guide(maps, features[-len(maps) :])
            loss = F.cross_entropy(logits, 0.3 * targets + 0.7 * opinion) + (1 - done) * guidance
            model.zero_grad()
            guide.zero_grad()
            loss.backward()
            for optimizer in optimizers:
                optimizer.step()
            losses += loss.item()
            # A short memory at first, so that the average soon forgets the initial weights.
            keep = min(0.998, 1 - 10 / (epoch * steps + step + 10))
            with torch.no_grad():
                torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 1 - keep)
        epoch += 1
        seconds += time.time() - start
        print(
            f"{model.name}: epoch {epoch}/{args.epochs} loss {losses / steps:.4f} guidance {guidance.item():.3f}"
            f" test top-1 {accuracy(average, *test):.2f} {seconds:.0f} s",
            flush=True,
        )
        export(average, args.out)
        state = {name: module.state_dict() for name, module in modules.items()}
        state |= {"optimizers": [optimizer.state_dict() for optimizer in optimizers]}
        state |= {"rng": torch.get_rng_state(), "epoch": epoch, "seconds": seconds}
        partial = checkpoint.with_suffix(".tmp")
        torch.save(state, partial)
        os.replace(partial, checkpoint)


if __name__ == "__main__":
    main()

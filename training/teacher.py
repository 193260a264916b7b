"""The convolutional teacher: a small network of three stages, trained in ten short epochs.

A convolution knows from the start that neighbouring pixels belong together; a
transformer has to learn it, and 50,000 images are few for that. So the
transformers learn from this network (see train.py), as in the DeiT paper.
"""

import argparse
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from data import LABELS, accuracy, crop_and_flip, load_split, normalize, pad
from muon import Muon

WIDTHS = (32, 112, 192)
WHITENED = 12


class Convolution(nn.Module):
    """3x3, without bias. The weight is stored as a matrix, for Muon to orthogonalise."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.shape = (outputs, inputs, 3, 3)
        weight = torch.empty(self.shape)
        nn.init.dirac_(weight[: min(inputs, outputs)])
        nn.init.kaiming_normal_(weight[min(inputs, outputs) :] if outputs > inputs else torch.empty(1, 1))
        self.weight = nn.Parameter(weight.flatten(1))

    def forward(self, x):
        return F.conv2d(x, self.weight.view(self.shape), padding=1)


class Stage(nn.Sequential):
    def __init__(self, inputs, outputs):
        super().__init__(
            Convolution(inputs, outputs),
            nn.MaxPool2d(2),
            nn.BatchNorm2d(outputs),
            nn.GELU(),
            Convolution(outputs, outputs),
            nn.BatchNorm2d(outputs),
            nn.GELU(),
        )


class Teacher(nn.Module):
    """features() returns the map after each stage, of 1/2, 1/4 and 1/8 of the image's side."""

    def __init__(self):
        super().__init__()
        # The principal components of 3x3 patches and their negatives (see whiten); never trained.
        self.register_buffer("whitening", torch.zeros(2 * WHITENED, 3, 3, 3))
        self.stages = nn.ModuleList(Stage(i, o) for i, o in zip((2 * WHITENED,) + WIDTHS[:-1], WIDTHS))
        self.head = nn.Linear(WIDTHS[-1], len(LABELS))

    @torch.no_grad()
    def whiten(self, images):
        patches = normalize(images).unfold(2, 3, 1).unfold(3, 3, 1)
        patches = patches.permute(0, 2, 3, 1, 4, 5).reshape(-1, 27)
        values, vectors = torch.linalg.eigh(patches.T @ patches / len(patches))
        filters = (vectors / (values + 5e-4).sqrt()).T.view(27, 3, 3, 3)[-WHITENED:]
        self.whitening.copy_(torch.cat([filters, -filters]))

    def features(self, x):
        x = F.gelu(F.conv2d(x.contiguous(memory_format=torch.channels_last), self.whitening, padding=1))
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps

    def classify(self, last):
        return self.head(last.amax((2, 3)))

    def forward(self, x):
        return self.classify(self.features(x)[-1])


def train_teacher(data, runs, epochs=10, batch=250, lr=0.01, seed=0):
    """Train the teacher, or load the one that an earlier run saved."""
    path = runs / "teacher.pt"
    teacher = Teacher().to(memory_format=torch.channels_last)
    if path.exists():
        teacher.load_state_dict(torch.load(path))
        return teacher.eval()

    torch.manual_seed(seed)
    images, classes = load_split(data, "train", runs)
    test = load_split(data, "test", runs)
    teacher.whiten(images[torch.randperm(len(images))[:2000]])
    images = pad(images, 3)
    convolutions = [p for name, p in teacher.named_parameters() if p.ndim == 2 and "stages" in name]
    others = [p for name, p in teacher.named_parameters() if p.ndim == 1 or "head" in name]
    optimizers = [
        Muon(convolutions, lr=lr, weight_decay=0.1),
        torch.optim.AdamW(others, lr=lr, weight_decay=0.0),
    ]
    start, total = time.time(), epochs * (len(images) // batch)
    step = 0
    for epoch in range(epochs):
        losses = 0.0
        for picked in torch.randperm(len(images)).split(batch):
            done = step / total
            for optimizer in optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = lr * min(1, 10 * done, 1.02 - done)
            logits = teacher(normalize(crop_and_flip(images[picked])))
            loss = F.cross_entropy(logits, classes[picked], label_smoothing=0.2)
            teacher.zero_grad()
            loss.backward()
            for optimizer in optimizers:
                optimizer.step()
            step += 1
            losses += loss.item()
        line = f"teacher: epoch {epoch + 1}/{epochs} loss {losses * epochs / total:.4f}"
        print(f"{line} test top-1 {accuracy(teacher, *test):.2f} {time.time() - start:.0f} s", flush=True)
    torch.save(teacher.state_dict(), path)
    return teacher.eval()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with train/CLASS and test/CLASS")
    parser.add_argument("--runs", type=Path, default=Path(__file__).parent / "runs")
    args = parser.parse_args()
    train_teacher(args.data, args.runs)

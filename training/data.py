"""CIFAR-10 as tensors, and the augmentations of both models."""

import os

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

LABELS = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
MEAN = [0.4914, 0.4822, 0.4465]
STD = [0.2470, 0.2435, 0.2616]
IMAGE_SIZE = 32


def load_split(data, split, runs):
    """The images of a split as uint8 [n, 3, 32, 32], and their classes. Decodes the JPEGs once."""
    runs.mkdir(parents=True, exist_ok=True)
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
    # Every class of CIFAR-10 has the same number of images.
    return images, torch.arange(len(LABELS)).repeat_interleave(len(images) // len(LABELS))


def normalize(images):
    mean = torch.tensor(MEAN).view(1, 3, 1, 1) * 255
    std = torch.tensor(STD).view(1, 3, 1, 1) * 255
    return (images.float() - mean) / std


def pad(images, margin):
    return F.pad(images.float(), (margin,) * 4, mode="reflect").byte()


def crop_and_flip(padded):
    """A random 32x32 window of each padded image; half of the windows are mirrored."""
    n, margin = len(padded), padded.shape[-1] - IMAGE_SIZE
    span = torch.arange(IMAGE_SIZE)
    rows = torch.randint(margin + 1, (n, 1)) + span
    columns = torch.randint(margin + 1, (n, 1)) + torch.where(torch.rand(n, 1) < 0.5, span, span.flip(0))
    windows = padded[torch.arange(n)[:, None, None], :, rows[:, :, None], columns[:, None, :]]
    return windows.permute(0, 3, 1, 2)


@torch.no_grad()
def accuracy(model, images, classes):
    """Top-1 in per cent."""
    model.eval()
    right = 0
    for x, y in zip(images.split(500), classes.split(500)):
        right += (model(normalize(x)).argmax(1) == y).sum().item()
    model.train()
    return 100 * right / len(classes)

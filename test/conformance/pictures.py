"""Pictures that are the same in every run."""

import numpy as np
from PIL import Image


def picture(width: int, height: int, seed: int) -> Image.Image:
    """A picture with large shapes, edges and a texture of single pixels."""
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.integers(0, 256, (6, 7, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)).astype(np.int32)
    smooth[height // 3 : height // 2, width // 4 : width // 2] ^= 0x70
    noise = random.integers(-40, 41, (height, width, 3))
    return Image.fromarray(np.clip(smooth + noise, 0, 255).astype(np.uint8))


# Landscape, portrait, smaller than any crop, and long. Some sides leave odd margins.
PHOTOS = {"landscape": (320, 213), "portrait": (175, 301), "tiny": (37, 23), "long": (31, 640)}


def photos() -> dict[str, Image.Image]:
    return {name: picture(*size, seed) for seed, (name, size) in enumerate(PHOTOS.items())}

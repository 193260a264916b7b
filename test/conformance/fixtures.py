"""Writes fixtures/: a tiny model of each kind, saved by its library, and the library's results."""

import base64
import json
import os
import shutil
import sys

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import timm
import torch
import torchvision
import transformers
from PIL import Image
from timm.data import create_transform, resolve_data_config
from timm.models import save_for_hf

from probes import measure
from randomise import magnify, randomise

# The values of VISIBLE and NO_INFLUENCE in compare.mjs.
VISIBLE, UNREAD = 2e-3, 2e-4

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fixtures")
CLASSES = 4

VIT = {"embed_dim": 16, "depth": 1, "num_heads": 2, "mlp_ratio": 2, "img_size": 8, "patch_size": 4}
SWIN = {"embed_dim": 16, "depths": (2, 1), "num_heads": (1, 2), "mlp_ratio": 2, "img_size": 32, "window_size": 4}

TIMM = {
    "timm-vit": ("vit_tiny_patch16_224", VIT),
    "timm-vit-mean": ("vit_tiny_patch16_224", {**VIT, "global_pool": "avg"}),
    "timm-vit-tanh": ("vit_tiny_patch16_224", {**VIT, "act_layer": "gelu_tanh"}),
    "timm-vit-quick": ("vit_tiny_patch16_224", {**VIT, "act_layer": "quick_gelu"}),
    "timm-vit-no-qkv-bias": ("vit_tiny_patch16_224", {**VIT, "qkv_bias": False}),
    "timm-vit-backbone": ("vit_tiny_patch16_224", {**VIT, "num_classes": 0}),
    "timm-deit": ("deit_tiny_patch16_224", VIT),
    "timm-deit-distilled": ("deit_tiny_distilled_patch16_224", VIT),
    "timm-deit3-layer-scale": ("deit3_small_patch16_224", VIT),
    "timm-dinov2": ("vit_small_patch14_dinov2", VIT),
    "timm-dinov2-registers": ("vit_small_patch14_reg4_dinov2", VIT),
    "timm-registers-mean": ("vit_base_patch16_reg4_gap_256", VIT),
    "timm-siglip-mean": ("vit_base_patch16_siglip_gap_224", VIT),
    "timm-swin": ("swin_tiny_patch4_window7_224", SWIN),
    "timm-swin-s3": (
        "swin_s3_tiny_224",
        {**SWIN, "depths": (2, 2, 2), "num_heads": (1, 2, 4), "img_size": 64, "window_size": (4, 8, 4)},
    ),
}

HF = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32, "image_size": 8, "patch_size": 4, "num_labels": CLASSES}
HF_SWIN = {"embed_dim": 16, "depths": [2, 1], "num_heads": [1, 2], "mlp_ratio": 2.0, "image_size": 32, "patch_size": 4, "window_size": 4, "num_labels": CLASSES}
DINO = {**HF, "mlp_ratio": 2}

TRANSFORMERS = {
    "transformers-vit": ("ViTForImageClassification", HF),
    "transformers-vit-tanh": ("ViTForImageClassification", {**HF, "hidden_act": "gelu_pytorch_tanh", "layer_norm_eps": 1e-5}),
    "transformers-vit-quick": ("ViTForImageClassification", {**HF, "hidden_act": "quick_gelu", "qkv_bias": False}),
    "transformers-vit-backbone": ("ViTModel", HF),
    "transformers-deit": ("DeiTForImageClassification", HF),
    "transformers-deit-distilled": ("DeiTForImageClassificationWithTeacher", HF),
    "transformers-swin": ("SwinForImageClassification", HF_SWIN),
    "transformers-dinov2": ("Dinov2Model", DINO),
    "transformers-dinov2-registers": ("Dinov2WithRegistersModel", {**DINO, "num_register_tokens": 2}),
    "transformers-mae": ("ViTMAEModel", HF),
    "transformers-msn": ("ViTMSNForImageClassification", HF),
    "transformers-ijepa": ("IJepaForImageClassification", HF),
}

TORCHVISION = {
    "torchvision-vit": (
        lambda: torchvision.models.VisionTransformer(8, 4, num_layers=1, num_heads=2, hidden_dim=16, mlp_dim=32, num_classes=CLASSES),
        {"num_heads": 2},
        8,
    ),
    "torchvision-swin": (
        lambda: torchvision.models.SwinTransformer([4, 4], 16, [2, 1], [1, 2], [4, 4], mlp_ratio=2.0, num_classes=CLASSES),
        {"image_size": 32},
        32,
    ),
}

MEAN, STD = [0.48, 0.46, 0.41], [0.23, 0.22, 0.24]


def pattern(width, height):
    """The same picture as in `fixtures.test.ts`."""
    y, x, c = np.mgrid[0:height, 0:width, 0:3]
    return ((31 * x + 17 * y + 73 * c + 5 * x * y) % 256).astype(np.uint8)


def result_of(model, size, mean, std):
    pixels = torch.from_numpy(pattern(size, size)) / 255
    inputs = ((pixels - torch.tensor(mean)) / torch.tensor(std)).permute(2, 0, 1)[None]

    def run():
        torch.manual_seed(0)  # a masked autoencoder shuffles the patches
        with torch.inference_mode():
            output = model(inputs)
        if isinstance(output, torch.Tensor):
            return output[0].clone()
        logits = getattr(output, "logits", None)
        return (output.last_hidden_state[0, 0] if logits is None else logits[0]).clone()

    return run


def sixteen_bits(model, name, run):
    """Fills the model with random weights that are exact in 16 bits; returns its float32 result."""
    randomise(model, name)
    magnify(model, run)
    model.half().float()
    effects = measure(model, run)
    blind = {name: effect for name, effect in effects.items() if UNREAD < effect < VISIBLE}
    if blind:
        raise ValueError(f"{name}: the logits do not show {blind}")
    return run()


def write_expected(folder, result, photo=None, config=None):
    expected = {"logits": [float(f"{value:.7g}") for value in result.tolist()]}
    if photo is not None:
        expected["photo"] = base64.b64encode(photo).decode()
    if config is not None:
        expected["config"] = config
    with open(os.path.join(folder, "expected.json"), "w") as file:
        json.dump(expected, file)


PHOTO = Image.fromarray(pattern(37, 23))


def write_timm(kind, folder, name, changes):
    model = timm.create_model(name, **{"num_classes": CLASSES, **changes}).eval()
    data = resolve_data_config({"img_size": changes["img_size"]}, pretrained_cfg=model.pretrained_cfg)
    run = result_of(model, changes["img_size"], data["mean"], data["std"])
    result = sixteen_bits(model, kind, run)
    photo = PHOTO
    for step in create_transform(**data, is_training=False).transforms[:-2]:
        photo = step(photo)
    save_for_hf(model.half(), folder, safe_serialization=True)
    write_expected(folder, result, photo.tobytes())


def write_transformers(kind, folder, name, changes):
    model_class = getattr(transformers, name)
    model = model_class(model_class.config_class(**changes)).eval()
    if hasattr(model.config, "mask_ratio"):
        model.config.mask_ratio = 0.0
    size = changes["image_size"]
    result = sixteen_bits(model, kind, result_of(model, size, MEAN, STD))
    processor = transformers.ViTImageProcessorPil(size={"height": size, "width": size}, image_mean=MEAN, image_std=STD)
    values = processor(images=PHOTO, return_tensors="np")["pixel_values"][0].transpose(1, 2, 0)
    photo = np.rint((values * np.array(STD) + np.array(MEAN)) * 255).astype(np.uint8)
    model.half().save_pretrained(folder)
    processor.save_pretrained(folder)
    write_expected(folder, result, photo.tobytes())


def write_torchvision(kind, folder, make, config, size):
    model = make().eval()
    result = sixteen_bits(model, kind, result_of(model, size, MEAN, STD))
    torch.save(model.half().state_dict(), os.path.join(folder, "model.pth"))
    write_expected(folder, result, config={**config, "mean": MEAN, "std": STD, "layer_norm_eps": 1e-6 if "vit" in kind else 1e-5})


def main():
    only = sys.argv[1:]
    for kinds, write in ((TIMM, write_timm), (TRANSFORMERS, write_transformers), (TORCHVISION, write_torchvision)):
        for kind, arguments in kinds.items():
            if only and kind not in only:
                continue
            folder = os.path.join(ROOT, kind)
            shutil.rmtree(folder, ignore_errors=True)
            os.makedirs(folder)
            write(kind, folder, *arguments)


main()

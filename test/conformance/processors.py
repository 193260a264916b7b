"""The pixels of transformers' image processors, for all forms of a preprocessor_config.json."""

import json
import os

import numpy as np
import torch
import transformers
from transformers import AutoImageProcessor, ViTConfig, ViTForImageClassification

from randomise import randomise

transformers.logging.set_verbosity_error()

SIDE = 32
SQUARE = {"height": SIDE, "width": SIDE}
SHORT = {"shortest_edge": SIDE}

# Margins of 5, 7 and 8 pixels, because libraries round half of an odd margin differently.
CROPS = {
    f"size {name} crop {crop_name}": {"size": size, "do_center_crop": True, "crop_size": crop}
    for name, size in {
        "39": 39,
        "short 37": {"shortest_edge": 37},
        "short 39": {"shortest_edge": 39},
        "square 39": {"height": 39, "width": 39},
        "square 40": {"height": 40, "width": 40},
    }.items()
    for crop_name, crop in {"32": SIDE, "square": SQUARE}.items()
}

# Settings with the same meaning in all classes. MATRIX adds a size that fits the model.
COMMON = {
    "resample absent": {},
    **{f"resample {number}": {"resample": number} for number in range(6)},
    "do_resize false": {"do_resize": False},
    "do_normalize false": {"do_normalize": False},
    "do_rescale false": {"do_rescale": False},
    "do_rescale false, mean of bytes": {"do_rescale": False, "image_mean": [120.0, 110.0, 100.0], "image_std": [60.0, 61.0, 62.0]},
    "do_rescale and do_normalize false": {"do_rescale": False, "do_normalize": False},
    "rescale_factor 1/127.5": {"rescale_factor": 1 / 127.5},
    "rescale_factor 1/256": {"rescale_factor": 1 / 256},
    "mean and std": {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6]},
    "mean and std numbers": {"image_mean": 0.4, "image_std": 0.3},
    "mean above 1": {"image_mean": [1.5, 1.2, 1.1], "image_std": [1.5, 2.0, 3.0]},
    "mean negative": {"image_mean": [-0.5, -0.2, 0.1]},
    "do_convert_rgb false": {"do_convert_rgb": False},
    "do_convert_rgb true": {"do_convert_rgb": True},
    "do_convert_rgb null": {"do_convert_rgb": None},
    "do_flip_channel_order": {"do_flip_channel_order": True},
    "rescale_offset": {"rescale_offset": True, "rescale_factor": 1 / 127.5},
    "offset": {"offset": True},
    "do_pad": {"do_pad": True, "pad_size": {"height": 40, "width": 40}},
    "do_reduce_labels": {"do_reduce_labels": True},
    "crop_pct": {"crop_pct": 0.8},
    "default_to_square false": {"default_to_square": False},
    "use_square_size": {"use_square_size": True},
    "size_divisor": {"size_divisor": 16},
    "input_data_format": {"input_data_format": "channels_last"},
    "data_format": {"data_format": "channels_first"},
    "do_thumbnail": {"do_thumbnail": True},
    "do_align_long_axis": {"do_align_long_axis": True},
    "include_top": {"include_top": True},
    "crop_size without do_center_crop": {"crop_size": SQUARE},
    "do_center_crop null": {"do_center_crop": None},
    "do_crop_margin": {"do_crop_margin": True},
}
SIZES = {
    "size absent": {"side": 224},
    "size 32": {"size": SIDE},
    "size square": {"size": SQUARE},
    "size short": {"size": SHORT},
    "size short, cropped": {"size": SHORT, "do_center_crop": True, "crop_size": SIDE},
    "size short, not cropped": {"size": SHORT, "do_center_crop": False},
    "size short and long": {"size": {"shortest_edge": SIDE, "longest_edge": 40}, "do_center_crop": True, "crop_size": SIDE},
    "size long": {"size": {"longest_edge": SIDE}},
    "size max": {"size": {"max_height": SIDE, "max_width": SIDE}},
    "size list": {"size": [SIDE, SIDE]},
    "size oblong": {"size": {"height": SIDE, "width": 40}},
    "size oblong, cropped": {"size": {"height": 36, "width": 40}, "do_center_crop": True, "crop_size": SQUARE},
    "size 40, not cropped": {"size": 40, "do_center_crop": False},
    "size smaller than crop": {"size": {"height": 24, "width": 24}, "do_center_crop": True, "crop_size": SQUARE},
    "crop absent": {"size": {"shortest_edge": 256}, "do_center_crop": True, "side": 224},
    "size and crop absent": {"do_center_crop": True, "side": 224},
    "crop oblong": {"size": {"shortest_edge": 40}, "do_center_crop": True, "crop_size": {"height": SIDE, "width": 40}},
    "crop_pct 0.9": {"size": SHORT, "crop_pct": 0.9},
    "crop_pct 0.9 of 384": {"size": {"shortest_edge": 384}, "crop_pct": 0.9, "side": 384},
    "crop_pct null": {"size": SHORT, "crop_pct": None},
}
MATRIX = {
    **SIZES,
    **{name: {"size": SQUARE, "crop_size": SQUARE, **settings} for name, settings in COMMON.items()},
    **CROPS,
}
FEW = {name: MATRIX[name] for name in ("size absent", "size 32", "size square", "size short, cropped", "size short 39 crop square", "size square 39 crop square", "resample absent")}

# The classes that models of our families name on the hub, then others that a file may name.
TYPES = {
    **dict.fromkeys("ViT DeiT Bit CLIP Beit Siglip ConvNext DINOv3ViT".split(), MATRIX),
    **dict.fromkeys(
        "Blip BridgeTower Chameleon ChineseCLIP Data2VecVision DPT EfficientFormer EfficientNet Flava Glpn GroupViT Idefics ImageGPT Levit "
        "MobileNetV1 MobileNetV2 MobileViT OwlViT Perceiver Pixtral PoolFormer Pvt Segformer Siglip2 Swin Swin2SR VideoMAE ViTHybrid Vivit Yolos TimmWrapper".split(),
        FEW,
    ),
}
FORMS = {"processor": "{}ImageProcessor", "fast": "{}ImageProcessorFast", "extractor": "{}FeatureExtractor"}

# The slow processors compute with Pillow, the fast ones with torchvision.
BACKENDS = ("pil", "torchvision")


def names():
    found = [
        {"name": f"{FORMS[form].format(kind)} ({backend}): {settings}", "module": kind}
        for kind, matrix in TYPES.items()
        for form in FORMS
        for settings in (matrix if form == "processor" else FEW if matrix is MATRIX else ())
        for backend in BACKENDS
    ]
    none = [{"name": f" ({backend}): {settings}", "module": "no class"} for settings in FEW for backend in BACKENDS]
    return found + none


class ProcessorModel:
    model = None
    pixels = None
    magnified = False

    def __init__(self, name: str, folder: str, form: str):
        head, _, settings_name = name.partition(": ")
        kind, _, backend = head[:-1].partition(" (")
        json_of_case = dict((MATRIX | FEW)[settings_name])
        side = json_of_case.pop("side", SIDE)
        if kind:
            key = "feature_extractor_type" if kind.endswith("FeatureExtractor") else "image_processor_type"
            json_of_case[key] = kind
        config = ViTConfig(
            hidden_size=32, num_hidden_layers=1, num_attention_heads=1, intermediate_size=64,
            image_size=side, patch_size=side // 4, num_labels=3,
        )
        model = ViTForImageClassification(config)
        randomise(model, "processors")
        model.save_pretrained(folder)
        with open(os.path.join(folder, "preprocessor_config.json"), "w") as file:
            json.dump(json_of_case, file)
        self.side = side
        self.processor = loaded(folder, backend)

    def transform(self):
        def run(image):
            values = self.processor(images=image, return_tensors="pt")["pixel_values"]
            return np.asarray(torch.as_tensor(values[0]), dtype=np.float32)

        return run


def loaded(folder, backend):
    if int(transformers.__version__.split(".")[0]) >= 5:
        processor = AutoImageProcessor.from_pretrained(folder, backend=backend)
        found = processor.backend
    else:
        processor = AutoImageProcessor.from_pretrained(folder, use_fast=backend == "torchvision")
        found = "torchvision" if type(processor).__name__.endswith("Fast") else "pil"
    if found != backend:
        raise ValueError(f"has no {backend} backend")
    return processor

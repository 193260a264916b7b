"""Small models of transformers with random weights, saved by transformers."""

import json
import os

import torch
import transformers

from pictures import picture
from randomise import magnify, randomise

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()

SIDE = 56

# Settings that the classes share; each config uses those that it knows.
SIZES = {
    "hidden_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 256,
    "image_size": SIDE,
    "patch_size": 8,
    "num_labels": 12,
}
SWIN = {
    "embed_dim": 32,
    "depths": [2, 2],
    "num_heads": [1, 2],
    "window_size": 7,
    "image_size": SIDE,
    "patch_size": 4,
    "num_labels": 12,
}

# Every activation of transformers that needs no arguments.
ACTIVATIONS = (
    "gelu_10 gelu_fast gelu_new gelu_python gelu_pytorch_tanh gelu_python_tanh gelu_accurate hardswish laplace leaky_relu linear "
    "mish quick_gelu relu relu2 relu6 sigmoid silu swish tanh"
).split()

VIT = {
    **{f"hidden_act={name}": {"hidden_act": name} for name in ACTIVATIONS},
    **{f"layer_norm_eps={eps}": {"layer_norm_eps": eps} for eps in (1e-3, 1e-5, 1e-6)},
    "qkv_bias=False": {"qkv_bias": False},
    "num_attention_heads=8": {"num_attention_heads": 8},
    "num_attention_heads=2": {"num_attention_heads": 2},
    "intermediate_size=320": {"intermediate_size": 320},
    "image_size=[56, 56]": {"image_size": [SIDE, SIDE]},
    "image_size=[56, 64]": {"image_size": [SIDE, 64]},
    "patch_size=[8, 8]": {"patch_size": [8, 8]},
    "patch_size=[8, 4]": {"patch_size": [8, 4]},
    "problem_type=regression": {"problem_type": "regression"},
    "problem_type=multi_label_classification": {"problem_type": "multi_label_classification"},
    "hidden_dropout_prob=0.5": {"hidden_dropout_prob": 0.5, "attention_probs_dropout_prob": 0.5},
    "float16": {"dtype": torch.float16},
    "bfloat16": {"dtype": torch.bfloat16},
}
DINO = {
    "use_swiglu_ffn=True": {"use_swiglu_ffn": True},
    "use_mask_token=False": {"use_mask_token": False},
    "mlp_ratio=2": {"mlp_ratio": 2},
    **{key: VIT[key] for key in ("hidden_act=gelu_new", "hidden_act=relu", "layer_norm_eps=1e-05", "qkv_bias=False")},
}
SWIN_VARIANTS = {
    "use_absolute_embeddings=True": {"use_absolute_embeddings": True},
    "mlp_ratio=2.0": {"mlp_ratio": 2.0},
    "window_size=14": {"window_size": 14},
    "window_size=28": {"window_size": 28},
    "window_size=5": {"window_size": 5},
    "four stages": {"depths": [2, 2, 1, 1], "num_heads": [1, 2, 4, 8], "image_size": 224},
    "patch_norm=False": {"patch_norm": False},
    "path_norm=False": {"path_norm": False},
    **{
        key: VIT[key]
        for key in (
            "hidden_act=gelu_new hidden_act=quick_gelu hidden_act=relu layer_norm_eps=1e-06 layer_norm_eps=0.001 qkv_bias=False problem_type=regression"
        ).split()
    },
}
BEIT = {
    "use_mean_pooling=False": {"use_mean_pooling": False},
    "use_absolute_position_embeddings=True": {"use_absolute_position_embeddings": True},
    "use_relative_position_bias=True": {"use_relative_position_bias": True},
    "use_shared_relative_position_bias=True": {"use_shared_relative_position_bias": True},
    "layer_scale_init_value=0.0": {"layer_scale_init_value": 0.0},
    "as a ViT": {"use_absolute_position_embeddings": True, "layer_scale_init_value": 0.0, "use_mean_pooling": False},
}
SOME = {key: VIT[key] for key in ("hidden_act=gelu_new", "hidden_act=relu", "layer_norm_eps=1e-05", "qkv_bias=False")}

# Class -> (its variants, whether it is a Swin).
CLASSES = {
    "ViTForImageClassification": VIT,
    "ViTModel": {"pooler_output_size=64": {"pooler_output_size": 64}, **SOME},
    "ViTForMaskedImageModeling": {},
    "DeiTForImageClassification": VIT,
    "DeiTForImageClassificationWithTeacher": SOME,
    "DeiTModel": SOME,
    "DeiTForMaskedImageModeling": {},
    "SwinForImageClassification": SWIN_VARIANTS,
    "SwinModel": {},
    "SwinForMaskedImageModeling": {},
    "SwinBackbone": {},
    "Dinov2ForImageClassification": DINO,
    "Dinov2Model": DINO,
    "Dinov2Backbone": {},
    "Dinov2WithRegistersForImageClassification": DINO,
    "Dinov2WithRegistersModel": DINO,
    "ViTMAEModel": {"mask_ratio=0": {"mask_ratio": 0.0}, **SOME},
    "ViTMAEForPreTraining": {"mask_ratio=0": {"mask_ratio": 0.0}},
    "ViTMSNForImageClassification": SOME,
    "ViTMSNModel": SOME,
    "IJepaForImageClassification": SOME,
    "IJepaModel": SOME,
    "BeitForImageClassification": BEIT,
    "BeitModel": {},
    "Data2VecVisionForImageClassification": BEIT,
    "Swinv2ForImageClassification": {},
    "DINOv3ViTModel": {},
    "ViTHybridForImageClassification": {},
    "SiglipForImageClassification": {},
    "SiglipVisionModel": {},
    "Siglip2ForImageClassification": {},
    "CLIPForImageClassification": {},
    "CLIPVisionModel": {},
    "CLIPVisionModelWithProjection": {},
    "MetaClip2ForImageClassification": {},
    "PixtralVisionModel": {},
    "DonutSwinForImageClassification": {},
    "YolosForObjectDetection": {},
    "VitPoseForPoseEstimation": {},
    "DPTForDepthEstimation": {},
    "VideoMAEForVideoClassification": {},
}

# These give neither classes nor features of a picture, so fqvit must refuse them.
OTHER_TASK = (
    "Siglip2ForImageClassification",  # reads patches of pictures of any shape
    "YolosForObjectDetection", "VitPoseForPoseEstimation", "DPTForDepthEstimation", "VideoMAEForVideoClassification")


def names():
    """Every class that this version has, plain and in its variants."""
    return [
        {"name": f"{cls} {variant}".strip(), "module": cls}
        for cls, variants in CLASSES.items()
        if hasattr(transformers, cls)
        for variant in ("", *variants)
    ]


def built(cls, changes):
    config_class = cls.config_class
    sizes = SWIN if "Swin" in cls.__name__ else SIZES
    values = {**sizes, **changes}
    if cls.__name__ == "YolosForObjectDetection":
        values["image_size"] = [SIDE, SIDE]
    dtype = values.pop("dtype", torch.float32)
    parts = getattr(config_class, "sub_configs", {})
    if isinstance(parts, dict) and "vision_config" in parts:
        labels = values.pop("num_labels")
        config = config_class(vision_config=values, num_labels=labels)
    else:
        config = config_class(**values)
    return cls(config).to(dtype), config


class TransformersModel:
    probed = True

    def __init__(self, name: str, folder: str, form: str):
        cls_name, _, variant = name.partition(" ")
        cls = getattr(transformers, cls_name)
        changes = CLASSES[cls_name][variant] if variant else {}
        model, config = built(cls, changes)
        self.model = model.eval()
        self.other_task = cls_name in OTHER_TASK
        randomise(self.model, name)
        size = getattr(getattr(config, "vision_config", config), "image_size", SIDE)
        height, width = size if isinstance(size, (list, tuple)) else (size, size)
        pixels = torch.frombuffer(bytearray(picture(width, height, 7).tobytes()), dtype=torch.uint8)
        self.pixels = pixels.reshape(height, width, 3)
        self.config = {"mean": [0.48, 0.46, 0.41], "std": [0.23, 0.22, 0.24]}
        mean, std = (torch.tensor(self.config[key]) for key in ("mean", "std"))
        self.input = ((self.pixels / 255 - mean) / std).permute(2, 0, 1)[None].contiguous()
        dtype = self.model.dtype
        self.model.float()
        mask_ratio = getattr(config, "mask_ratio", None)
        self.mask(0.0)
        self.magnified = not self.other_task and "Backbone" not in cls_name and magnify(self.model, self.run)
        self.mask(mask_ratio)
        if dtype != torch.float32:
            self.model.to(dtype)
        self.model.save_pretrained(folder)
        self.model.float()  # fqvit computes in float32
        self.mask(0.0)
        if "Backbone" in cls_name:
            self.probed = False  # the class without "Backbone" has the same probes
            self.model = getattr(transformers, cls_name.replace("Backbone", "Model")).from_pretrained(folder).eval()
        processor = {
            "image_processor_type": "ViTImageProcessor",
            "size": {"height": height, "width": width},
            "image_mean": self.config["mean"],
            "image_std": self.config["std"],
        }
        with open(os.path.join(folder, "preprocessor_config.json"), "w") as file:
            json.dump(processor, file)

    def mask(self, ratio):
        """Sets the mask ratio of a masked autoencoder; at 0, features cover the whole picture."""
        for module in self.model.modules():
            if hasattr(getattr(module, "config", None), "mask_ratio"):
                module.config.mask_ratio = ratio

    def run(self):
        if self.other_task:
            return torch.zeros(0)
        with torch.inference_mode():
            output = self.model(self.input)
        logits = getattr(output, "logits", None)
        if logits is not None and logits.ndim == 2:
            return logits[0].clone()
        hidden = getattr(output, "last_hidden_state", None)
        if hidden is None:
            with torch.inference_mode():
                hidden = self.model.base_model(self.input).last_hidden_state
        mean = type(self.model).__name__.startswith(("Swin", "IJepa"))
        return (hidden[0].mean(0) if mean else hidden[0, 0]).clone()

    def transform(self):
        return None

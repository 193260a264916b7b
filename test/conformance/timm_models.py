"""Shallow models of timm with random weights, saved by timm."""

import json
import os

import timm
import torch
from safetensors.torch import save_file
from timm.data import create_transform, resolve_data_config
from timm.models import save_for_hf
from timm.models._hub import save_config_for_hf

from pictures import picture
from randomise import magnify, randomise

MODULES = (
    "vision_transformer deit swin_transformer beit eva swin_transformer_v2 swin_transformer_v2_cr naflexvit "
    "vision_transformer_hybrid vision_transformer_relpos vision_transformer_sam"
).split()

# Models with more channels get one block, to save time and memory.
WIDE = 1100


def names():
    """{ name, module, tags } of every model; the tags are those with pretrained weights."""
    pretrained = set(timm.list_pretrained())
    return [
        {"name": name, "module": module, "tags": sorted(t for t in pretrained if t.split(".")[0] == name)}
        for module in MODULES
        for name in timm.list_models(module=module)
    ]


def without_values(name: str, **arguments):
    with torch.device("meta"):
        return timm.create_model(name, **arguments)


def shallow(name: str):
    if "swin" in name:
        return timm.create_model(name, depths=(2, 2, 2, 2)).eval()
    depth = 2 if without_values(name).num_features <= WIDE else 1
    return timm.create_model(name, depth=depth).eval()


def write_config(name: str, folder: str, form: str):
    """A model's config next to a file without tensors: a refusal by config needs no weights."""
    save_config_for_hf(without_values(name), os.path.join(folder, "config.json"))
    write_form(folder, form)
    save_file({}, os.path.join(folder, "model.safetensors"))


def write_form(folder: str, form: str):
    """`saved`: as timm writes it now. `hub`: without the arguments that the name implies."""
    if form == "saved":
        return
    path = os.path.join(folder, "config.json")
    with open(path) as file:
        config = json.load(file)
    args = config.pop("model_args", {})
    depth = {key: args[key] for key in ("depth", "depths") if key in args}
    with open(path, "w") as file:
        json.dump({**config, "model_args": depth}, file)


class TimmModel:
    probed = True

    def __init__(self, name: str, folder: str, form: str):
        self.model = shallow(name)
        randomise(self.model, name)
        self.config = resolve_data_config({}, pretrained_cfg=self.model.pretrained_cfg)
        _, height, width = self.config["input_size"]
        pixels = torch.frombuffer(bytearray(picture(width, height, 7).tobytes()), dtype=torch.uint8)
        self.pixels = pixels.reshape(height, width, 3)
        mean, std = (torch.tensor(self.config[key]) for key in ("mean", "std"))
        self.input = ((self.pixels / 255 - mean) / std).permute(2, 0, 1)[None].contiguous()
        self.magnified = magnify(self.model, self.run)
        save_for_hf(self.model, folder, safe_serialization=True)
        write_form(folder, form)

    def run(self):
        with torch.inference_mode():
            return self.model(self.input)[0].clone()

    def transform(self):
        """Returns the function from a picture to the resized and cropped one, before ToTensor."""
        steps = create_transform(**self.config, is_training=False).transforms[:-2]

        def run(image):
            for step in steps:
                image = step(image)
            return image

        return run

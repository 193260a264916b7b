"""Prints the keys of the installed timm and transformers as JSON.

src/checkpoint/config needs a verdict for each.

    python scripts/library_keys.py

test/checkpoint/config/library-keys.json holds the output for each version that is supported.
"""

import dataclasses
import inspect
import json
import warnings

import timm
import transformers
from timm.models import _pretrained, deit, eva, swin_transformer, vision_transformer

warnings.filterwarnings('ignore')
transformers.logging.set_verbosity_error()

MODEL_TYPES = ['vit', 'deit', 'swin', 'dinov2', 'dinov2_with_registers', 'vit_mae', 'vit_msn', 'ijepa']
PROCESSORS = ['ViT', 'DeiT', 'Bit', 'CLIP', 'ViTHybrid', 'ConvNext', 'Beit', 'Siglip']
MODELS = [
    vision_transformer.VisionTransformer,
    deit.VisionTransformerDistilled,
    swin_transformer.SwinTransformer,
    eva.Eva,
]


def parameters(function):
    variable = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    found = inspect.signature(function).parameters.items()
    return {name for name, parameter in found if name != 'self' and parameter.kind not in variable}


def config_keys():
    keys = set()
    for model_type in MODEL_TYPES:
        config = transformers.AutoConfig.for_model(model_type)
        keys |= set(config.to_dict()) | parameters(type(config).__init__)
    return keys


def processor_keys():
    keys = set()
    for name in PROCESSORS:
        for suffix in ('ImageProcessor', 'ImageProcessorFast', 'ImageProcessorPil', 'FeatureExtractor'):
            kind = getattr(transformers, name + suffix, None)
            if kind is None:
                continue
            keys |= set(kind().to_dict()) | parameters(kind.__init__)
            keys |= set(getattr(getattr(kind, 'valid_kwargs', None), '__annotations__', {}))
    return keys


print(
    json.dumps(
        {
            'timm': timm.__version__,
            'transformers': transformers.__version__,
            'config': sorted(config_keys()),
            'preprocessor': sorted(processor_keys()),
            'pretrained_cfg': sorted(field.name for field in dataclasses.fields(_pretrained.PretrainedCfg)),
            'model_args': sorted(set().union(*(parameters(model.__init__) for model in MODELS))),
        }
    )
)

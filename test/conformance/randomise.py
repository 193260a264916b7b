"""Random weights with which every part of a model influences the result visibly."""

import re
import zlib

import torch
from torch import nn

# The deviation of the result is divided by this, which magnifies a relative error as much.
MAGNIFIED = 60

# Deviation of the residual stream. LayerNorm's epsilon is a noticeable part of its square.
STREAM = 0.02

# Layers that write to the residual stream.
TO_STREAM = re.compile(
    r"(patch_embed|embeddings?|embeds?|attn\.proj|self_attn\.(proj|o_proj|out_proj)|attention\.(output|o_proj|out_proj)|"
    r"attention\.projection|conv_proj|self_attention\.out_proj|features\.0\.0|mlp\.3|fc2|w3|mlp\.down_proj|mlp\.weights_out|output\.dense|reduction|downsample|neck)"
)
TOKEN = re.compile(r"(pos_embed|token|position_embedding|embed)[^.]*$|position_embeddings\.weight$")


def randomise(model: nn.Module, name: str) -> None:
    """Fills every parameter and buffer of the model; the name seeds the random numbers."""
    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))

    def normal(tensor, scale):
        tensor.copy_(torch.randn(tensor.shape, generator=generator) * scale)

    def uniform(tensor, low, high):
        tensor.copy_(torch.rand(tensor.shape, generator=generator) * (high - low) + low)

    norms = {
        id(parameter)
        for module in model.modules()
        if re.search(r"norm", type(module).__name__, re.I)
        for parameter in module.parameters(recurse=False)
    }
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if not parameter.is_floating_point():
                continue
            into_stream = TO_STREAM.search(key) is not None
            post_norm = id(parameter) in norms and re.search(r"(norm_pre|pre_layrnorm|patch_embed\.norm|embeddings\.norm)", key)
            if id(parameter) in norms and key.endswith("weight"):
                scale = STREAM if post_norm else 1
                uniform(parameter, 0.5 * scale, 1.5 * scale)
            elif id(parameter) in norms:
                normal(parameter, 0.3 * (STREAM if post_norm else 1))
            elif re.search(r"(gamma|lambda|layer_scale|(^|\.)ls\d)[^.]*(\.weight)?$", key):
                uniform(parameter, 0.5, 1.5)
            elif re.search(r"relative_position_bias|rel_pos|logit_scale", key):
                normal(parameter, 1)
            elif TOKEN.search(key) and not re.search(r"(proj|projection)\.(weight|bias)$", key):
                normal(parameter, STREAM)
            elif parameter.ndim >= 2:
                fan_in = parameter[0].numel()
                normal(parameter, (STREAM if into_stream else 1.5) / fan_in**0.5)
            elif key.endswith("bias"):
                normal(parameter, 0.5 * STREAM if into_stream else 0.5)
            else:
                normal(parameter, 0.5)
        for key, buffer in model.named_buffers():
            if key.endswith("running_mean"):
                normal(buffer, 0.3)
            elif key.endswith("running_var"):
                uniform(buffer, 0.5, 1.5)


# Candidates for the last bias of a model. If it has several, the first one here is its last.
LAST = "head.bias head.fc.bias classifier.bias cls_classifier.bias fc_norm.bias head.norm.bias norm.bias layernorm.bias".split()


def magnify(model: nn.Module, run) -> bool:
    """
    Shifts the last bias so that the result of `run()` keeps its form and loses most of its size: an
    error in the values that almost cancel is large next to the small rest.
    """
    result = run()
    parameters = dict(model.named_parameters())
    for key in LAST:
        found = [name for name in parameters if name == key or name.endswith("." + key)]
        bias = parameters.get(min(found, key=len, default=None))
        if bias is None or bias.shape != result.shape:
            continue
        before = bias.detach().clone()
        with torch.no_grad():
            shift = (1 / MAGNIFIED - 1) * result
            bias.add_(shift)
            # If the result is the mean of two heads, a shift of one head counts half.
            if (run() - result).std() < 0.6 * shift.std():
                bias.add_(shift)
            if abs(run().std() * MAGNIFIED / result.std() - 1) < 0.01:
                return True
            bias.copy_(before)
    return False

"""How far a result moves if one thing is wrong: below the tolerance, a comparison cannot see it."""

import contextlib
import math
import re

import torch
from torch import nn
from torch.nn import functional as F


class Tanh(nn.Module):
    def forward(self, x):
        return F.gelu(x, approximate="tanh")


class Exact(nn.Module):
    def forward(self, x):
        return F.gelu(x)


@contextlib.contextmanager
def changed(owner, **values):
    before = {name: getattr(owner, name) for name in values}
    for name, value in values.items():
        setattr(owner, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(owner, name, value)


@contextlib.contextmanager
def parameter_as(parameter, values):
    before = parameter.detach().clone()
    with torch.no_grad():
        parameter.copy_(values)
    try:
        yield
    finally:
        with torch.no_grad():
            parameter.copy_(before)


def is_gelu(module) -> bool:
    return type(module).__name__ in ("GELU", "GELUTanh", "QuickGELU", "GELUActivation", "PytorchGELUTanh", "GELUTanhActivation", "NewGELUActivation", "FastGELUActivation", "QuickGELUActivation")


def is_tanh(module) -> bool:
    approximate = getattr(module, "approximate", "none") == "tanh"
    return approximate or type(module).__name__ not in ("GELU", "GELUActivation", "QuickGELU", "QuickGELUActivation")


def neutral(parameter, key):
    """Values for a parameter as if the reader ignored it."""
    if parameter.ndim < 2 or min(parameter.shape[:2]) == 1:
        return torch.ones_like(parameter) if not key.endswith("bias") and parameter.mean().abs() > parameter.std() else torch.zeros_like(parameter)
    return parameter.flatten().roll(1).reshape(parameter.shape)


def has_later(key, keys):
    """Whether the next block or stage has the same part; probing the last one is enough."""
    before, zero, after = key.rpartition(".0.")
    return zero != "" and f"{before}.1.{after}" in keys


def of_decoder(name):
    """Whether it belongs to the decoder of a masked autoencoder, which features do not use."""
    return name.startswith("decoder")


def probes(model):
    """Yields (name, context manager that makes one thing wrong) for every mistake of a reader."""
    parameters = dict(model.named_parameters())
    modules = dict(model.named_modules())
    for key, parameter in parameters.items():
        # The bias of k adds the same to all scores of a query, which softmax cancels.
        cancels = re.search(r"\.(k|key|k_proj)\.bias$", key)
        if parameter.is_floating_point() and not (cancels or of_decoder(key) or has_later(key, parameters)):
            yield f"tensor {key}", lambda p=parameter, k=key: parameter_as(p, neutral(p.detach(), k))
    for key, module in modules.items():
        if of_decoder(key) or has_later(key, modules):
            continue
        for attribute in ("eps", "variance_epsilon"):
            eps = getattr(module, attribute, None)
            if isinstance(eps, float):
                wrong = max(10 * eps, 1e-6)
                yield f"{key}.{attribute} {wrong:.0e}", lambda m=module, a=attribute, e=wrong: changed(m, **{a: e})
        shift = getattr(module, "shift_size", 0)
        none = 0 if isinstance(shift, int) else type(shift)((0, 0))
        if shift != none:
            yield f"{key}.shift_size", lambda m=module, n=none: changed(m, shift_size=n)
        values = twice_the_heads(module)
        if values:
            yield f"{key}.num_heads", lambda m=module, v=values: changed(m, **v)
    gelus = [
        (module, name)
        for module in model.modules()
        for name, child in module.named_children()
        if is_gelu(child)
    ]
    if gelus:
        yield "activation", lambda: other_gelus(gelus)
    pool = getattr(model, "global_pool", None)
    if pool in ("token", "avg"):
        yield "global_pool", lambda: changed(model, global_pool="avg" if pool == "token" else "token")


def twice_the_heads(module):
    """The attributes that double the heads of an attention, unless its tensors show them."""
    dim = getattr(module, "head_dim", None) or getattr(module, "attention_head_size", None)
    if not isinstance(dim, int) or dim % 2 != 0 or hasattr(module, "relative_position_bias_table"):
        return {}
    wrong = {"head_dim": dim // 2, "attention_head_size": dim // 2}
    for name in ("num_heads", "num_attention_heads"):
        heads = getattr(module, name, None)
        wrong[name] = 2 * heads if isinstance(heads, int) else None
    for name in ("scale", "scaling"):
        scale = getattr(module, name, None)
        wrong[name] = math.sqrt(2) * scale if isinstance(scale, float) else None
    return {name: value for name, value in wrong.items() if value is not None and hasattr(module, name)}


@contextlib.contextmanager
def other_gelus(places):
    before = [getattr(owner, name) for owner, name in places]
    for (owner, name), old in zip(places, before):
        setattr(owner, name, Exact() if is_tanh(old) else Tanh())
    try:
        yield
    finally:
        for (owner, name), old in zip(places, before):
            setattr(owner, name, old)


def measure(model, run):
    """Maps each probe to the largest difference, divided by the deviation of the result."""
    result = run()
    found = {}
    for name, wrong in probes(model):
        try:
            with wrong():
                difference = (run() - result).abs().max() / result.std()
        except RuntimeError:
            continue
        if name != "global_pool" or difference > 0:
            found[name] = float(difference)
    return found

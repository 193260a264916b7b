"""Writes src/architecture/timm-names.ts: what timm's names say about a model, and its tensors do
not.

    python scripts/timm_names.py > src/architecture/timm-names.ts

Needs the version of timm that the first line of the output names. It downloads nothing: the models
are built without memory.
"""

import json
import sys
import warnings
from collections import defaultdict

import timm
import torch
from timm.data import resolve_data_config
from timm.models import _registry as registry
from timm.models import list_models

warnings.filterwarnings('ignore')

MODULES = (
    'vision_transformer deit swin_transformer beit eva swin_transformer_v2 swin_transformer_v2_cr naflexvit '
    'vision_transformer_hybrid vision_transformer_relpos vision_transformer_sam'
).split()
ACTIVATIONS = {'GELU': None, 'GELUTanh': 'tanh', 'QuickGELU': 'quick'}
NORMS = {'LayerNorm', 'Identity'}


def kind(module):
    return type(module).__name__


def missing_operations(model):
    """What the model computes and fqvit does not, in words; None if fqvit can read it."""
    kinds = {kind(module) for module in model.modules()}
    found = []

    def says(condition, words):
        if condition and words not in found:
            found.append(words)

    says(kinds & {'HybridEmbed'}, 'a convolutional stem')
    says(any('Rotary' in k or 'Rope' in k for k in kinds), 'rotary position embeddings (RoPE)')
    says(any('RelPos' in k for k in kinds) or kind(model) == 'Beit', 'relative positions in attention')
    says(kind(model) == 'VisionTransformerSAM', 'relative positions in windows of a ViT (SAM)')
    says(kind(model) == 'SwinTransformerV2', "Swin V2's cosine attention and continuous position bias")
    says(kind(model) == 'SwinTransformerV2Cr', "Swin V2's cosine attention and continuous position bias")
    says(kind(model) == 'NaFlexVit', 'photos of any aspect ratio (NaFlex)')
    says(kinds & {'RmsNorm', 'RmsNorm2d'}, 'RMSNorm')
    says(kinds & {'SwiGLU', 'GluMlp', 'SwiGLUPacked'}, 'SwiGLU')
    says(
        kinds & {'ResPostBlock', 'ResPostRelPosBlock', 'EvaBlockPostNorm'},
        'a LayerNorm after each branch instead of before it (post-norm)',
    )
    says(any('Parallel' in k for k in kinds), 'attention and MLP side by side (parallel blocks)')
    says(any(k.startswith('Diff') for k in kinds), 'differential attention')
    says(kinds & {'AttentionPoolLatent', 'AttentionPoolPrr'}, 'attention pooling')
    if kind(model) in ('VisionTransformer', 'VisionTransformerDistilled'):
        says(
            any(name.endswith(('attn.norm', 'mlp.norm')) and kind(m) != 'Identity' for name, m in model.named_modules()),
            'a LayerNorm inside attention and MLP',
        )
        says(kind(model.norm_pre) != 'Identity', 'a LayerNorm before the first block (pre-norm)')
        says(kind(getattr(model.patch_embed, 'norm', None)) not in ('Identity', 'NoneType'), 'a norm of the patches')
        ends = {kind(model.norm), kind(model.fc_norm)}
        says(ends == {'Identity'}, 'no LayerNorm after the last block')
    return found


def eps_of(model):
    (eps,) = {module.eps for module in model.modules() if kind(module) == 'LayerNorm'}
    return eps


def activation_of(mlp):
    return ACTIVATIONS[kind(mlp.act)]


def square(size):
    height, width = (size, size) if isinstance(size, int) else size
    assert height == width, size
    return height


def vit(name, model):
    block = model.blocks[0]
    pool = model.global_pool
    has_two_heads = kind(model) == 'VisionTransformerDistilled'
    if pool == 'avg':
        pool = 'mean' if kind(model.fc_norm) == 'Identity' else 'mean-before-norm'
    assert pool in ('token', 'mean', 'mean-before-norm'), (name, pool)
    row = {
        'family': 'deit' if name.startswith('deit') else 'vit',
        'imageSize': square(model.patch_embed.img_size),
        'patchSize': square(model.patch_embed.patch_size),
        'dim': model.embed_dim,
        'depth': len(model.blocks),
        'heads': block.attn.num_heads,
        'mlpDim': block.mlp.fc1.weight.shape[0],
    }
    if model.num_prefix_tokens != 1:
        row['prefix'] = model.num_prefix_tokens
    if has_two_heads or pool != 'token':
        row['pool'] = 'two-tokens' if has_two_heads else pool
    return row | traits(activation_of(block.mlp), eps_of(model), 1e-6)


def swin(model):
    first = model.layers[0].blocks[0]
    row = {
        'family': 'swin',
        'imageSize': square(model.patch_embed.img_size),
        'patchSize': square(model.patch_embed.patch_size),
        'dim': model.embed_dim,
        'depths': [len(layer.blocks) for layer in model.layers],
        'heads': [layer.blocks[0].attn.num_heads for layer in model.layers],
        'mlpDim': first.mlp.fc1.weight.shape[0],
        'window': square(first.window_size),
    }
    blocks = [layer.blocks[0] for layer in model.layers]
    if any(b.window_size != tuple(map(min, first.window_size, b.input_resolution)) for b in blocks):
        row['windows'] = [square(block.window_size) for block in blocks]
    assert model.head.global_pool.pool_type == 'avg'
    return row | traits(activation_of(first.mlp), eps_of(model), 1e-5)


def traits(activation, eps, usual):
    return ({'gelu': activation} if activation else {}) | ({'layerNormEps': eps} if eps != usual else {})


def preparation(cfg):
    """How timm prepares photos; the same text for the same preparation."""
    config = resolve_data_config({}, pretrained_cfg=cfg.to_dict())
    assert config['crop_mode'] in ('center', 'squash')
    return {
        'cropPct': config['crop_pct'],
        'interpolation': config['interpolation'],
        **({'squash': True} if config['crop_mode'] == 'squash' else {}),
        'mean': list(config['mean']),
        'std': list(config['std']),
    }


def typescript(value):
    if isinstance(value, dict):
        return '{ ' + ', '.join(f'{key(k)}: {typescript(v)}' for k, v in value.items()) + ' }'
    if isinstance(value, list):
        return '[' + ', '.join(map(typescript, value)) + ']'
    if isinstance(value, str):
        return f'"{value}"' if "'" in value else f"'{value}'"
    if isinstance(value, float) and value < 1e-3 and value > 0:
        return f'{value:.0e}'.replace('e-0', 'e-')
    return json.dumps(value)


def key(name):
    return name if name.isidentifier() else typescript(name)


def main():
    known, same_tensors, refused, preparations = {}, {}, defaultdict(list), []
    for module in MODULES:
        for name in list_models(module=module):
            with torch.device('meta'):
                model = timm.create_model(name)
            missing = missing_operations(model)
            if missing and missing != ['a LayerNorm after each branch instead of before it (post-norm)']:
                refused[', '.join(missing)].append(name)
                continue
            if missing and module != 'vision_transformer':
                refused[', '.join(missing)].append(name)
                continue
            row = swin(model) if kind(model) == 'SwinTransformer' else vit(name, model)
            if missing:
                # Its tensors have the names and shapes of a model that fqvit reads.
                refused[', '.join(missing)].append(name)
                same_tensors[name] = row | {'tags': {}}
                continue
            tags = {}
            for tag, cfg in registry._model_default_cfgs[name].cfgs.items():
                prepared = preparation(cfg)
                if prepared not in preparations:
                    preparations.append(prepared)
                tags[tag] = preparations.index(prepared)
            known[name] = row | {'tags': tags}
    accepted = set(known)
    aliases = {
        old: new
        for old, new in sorted(registry._deprecated_models.items())
        if new and new.split('.')[0] in accepted
    }
    out = sys.stdout
    out.write(f'// timm {timm.__version__}, written by scripts/timm_names.py: not to be changed by hand.\n\n')
    out.write("import type { Preparation, TimmRow } from './timm-row.js';\n\n")
    out.write(f"export const TIMM_VERSION = '{timm.__version__}';\n\n")
    out.write('/** How photos are prepared; the tags of a name are indices into this list. */\n')
    out.write('export const TIMM_PREPARATIONS: readonly Preparation[] = [\n')
    out.writelines(f'  {typescript(prepared)},\n' for prepared in preparations)
    out.write('];\n\n')
    out.write('/** The names that are read, each with its pretrained tags, the default one first. */\n')
    out.write('export const TIMM_NAMES: Readonly<Record<string, TimmRow>> = {\n')
    out.writelines(f'  {key(name)}: {typescript(row)},\n' for name, row in known.items())
    out.write('};\n\n')
    out.write('/** Names whose models have the tensors of one that is read and compute something else: see `TIMM_REFUSED`. */\n')
    out.write('export const TIMM_SAME_TENSORS: Readonly<Record<string, TimmRow>> = {\n')
    out.writelines(f'  {key(name)}: {typescript(row)},\n' for name, row in same_tensors.items())
    out.write('};\n\n')
    out.write('/** Names that are refused, by what they compute that fqvit does not. */\n')
    out.write('export const TIMM_REFUSED: Readonly<Record<string, readonly string[]>> = {\n')
    for reason, names in refused.items():
        out.write(f'  {key(reason)}: {typescript(names)},\n')
    out.write('};\n\n')
    out.write('/** Names of earlier versions. */\n')
    out.write('export const TIMM_ALIASES: Readonly<Record<string, string>> = {\n')
    out.writelines(f'  {key(old)}: {typescript(new)},\n' for old, new in aliases.items())
    out.write('};\n')


main()

"""The last block of a ViT, for its class token alone: where that is all that is pooled, nobody looks at the others.

Of the block, only keys and values are then computed for all tokens: a sixth of it.
"""

from functools import partial
from typing import Any

import torch.nn.functional as F
from timm.layers import Attention
from timm.models.vision_transformer import Block, VisionTransformer
from torch import Tensor, nn


def shorten(backbone: nn.Module) -> None:
    """Changes what the last block of one of timm's ViTs computes, if its class token is all that matters of it."""
    vit: Any = backbone
    if type(vit) is not VisionTransformer or vit.global_pool != "token" or vit.attn_pool is not None:
        return
    last = vit.blocks[-1]
    if type(last) is Block and type(last.attn) is Attention and last.attn.gate is None:
        last.forward = partial(_of_class_token, last)


def _of_class_token(block: Any, tokens: Tensor, *_: object, **__: object) -> Tensor:
    """What timm's `Block` makes of the first of (B, N, C) tokens: (B, 1, C)."""
    first = tokens[:, :1]
    first = first + block.drop_path1(block.ls1(_attention(block.attn, block.norm1(tokens))))
    out: Tensor = first + block.drop_path2(block.ls2(block.mlp(block.norm2(first))))
    return out


def _attention(attn: Any, tokens: Tensor) -> Tensor:
    """What timm's `Attention` gives for the first token."""
    width = attn.attn_dim
    weight, bias = attn.qkv.weight, attn.qkv.bias
    of_query, of_others = (None, None) if bias is None else (bias[:width], bias[width:])
    query, both = F.linear(tokens[:, :1], weight[:width], of_query), F.linear(tokens, weight[width:], of_others)
    q, k, v = (_by_head(each, attn.num_heads) for each in (query, *both.chunk(2, dim=-1)))
    drop = attn.attn_drop.p if attn.training else 0.0
    seen = F.scaled_dot_product_attention(attn.q_norm(q), attn.k_norm(k), v, dropout_p=drop)
    out: Tensor = attn.proj_drop(attn.proj(attn.norm(seen.transpose(1, 2).flatten(2))))
    return out


def _by_head(values: Tensor, heads: int) -> Tensor:
    """(B, N, C) → (B, heads, N, C / heads)."""
    return values.unflatten(-1, (heads, -1)).transpose(1, 2)

"""Attention by torch's own kernel, and by plain products where that kernel is slow."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

# Queries at a time: few enough that what they are multiplied with stays in the cache.
QUERIES = 128


def attend(
    query: Float[Tensor, "b a n c"], key: Float[Tensor, "b a m c"], value: Float[Tensor, "b a m c"]
) -> Float[Tensor, "b a n c"]:
    """softmax(q k^T / sqrt(c)) v for every head.

    On a CPU, torch's kernel is no faster in bfloat16 than in float32, while products of matrices are several times
    faster where the CPU has units for them; so these are used there, unless gradients are wanted.
    """
    if query.device.type != "cpu" or query.dtype != torch.bfloat16 or torch.is_grad_enabled():
        return F.scaled_dot_product_attention(query, key, value)
    return attend_in_parts(query, key, value)


def attend_in_parts(
    query: Float[Tensor, "b a n c"], key: Float[Tensor, "b a m c"], value: Float[Tensor, "b a m c"]
) -> Float[Tensor, "b a n c"]:
    """The same, some queries after the others."""
    with torch.autocast(query.device.type, enabled=False):
        scaled = query * query.shape[-1] ** -0.5
        parts = [torch.softmax(part @ key.mT, dim=-1) @ value for part in scaled.split(QUERIES, dim=2)]
        return torch.cat(parts, dim=2)

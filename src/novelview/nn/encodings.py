"""Encodings that let a network of smooth functions fit fine detail."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def frequency_width(channels: int, octaves: int) -> int:
    """Number of channels that :func:`frequency_encoding` makes of ``channels``."""
    return channels * (1 + 2 * octaves)


def frequency_encoding(x: Float[Tensor, "*b c"], octaves: int) -> Float[Tensor, "*b d"]:
    """x, sin x, cos x, sin 2x, cos 2x, sin 4x, ...: blocks of ``c`` channels (NeRF, equation 4).

    As in the paper's code, and unlike the equation, ``x`` itself comes first and there is no factor pi.
    """
    scales = 2.0 ** torch.arange(octaves, dtype=x.dtype, device=x.device)
    angles = x[..., None, :] * scales[:, None]
    waves = torch.stack([angles.sin(), angles.cos()], dim=-2)  # *b, octaves, 2, c
    return torch.cat([x, waves.flatten(-3)], dim=-1)


def grouped_frequency_encoding(x: Float[Tensor, "*b c"], octaves: int) -> Float[Tensor, "*b d"]:
    """sin v, sin 2v, sin 4v, ..., cos v, cos 2v, cos 4v, ..., v of every channel v, channel after channel (R2L's code).

    The values of :func:`frequency_encoding`, and as many, in another order.
    """
    scales = 2.0 ** torch.arange(octaves, dtype=x.dtype, device=x.device)
    angles = x[..., None] * scales
    return torch.cat([angles.sin(), angles.cos(), x[..., None]], dim=-1).flatten(-2)

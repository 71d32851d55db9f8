"""The five losses of DVR (Niemeyer et al., CVPR 2020, section 3.3), each summed over what it is of."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from novelview.rendering.surface import Field, outward_normals


def colour_loss(found: Float[Tensor, "r 3"], seen: Float[Tensor, "r 3"]) -> Float[Tensor, ""]:
    """Absolute differences."""
    return (found - seen).abs().sum()


def colour_change_loss(found: Float[Tensor, "n 2 2 3"], seen: Float[Tensor, "n 2 2 3"]) -> Float[Tensor, ""]:
    """How colours change to the right and downwards from the first pixel of each patch of four."""
    error = found - seen
    down, right = error[:, 1, 0] - error[:, 0, 0], error[:, 0, 1] - error[:, 0, 0]
    return torch.stack([right, down]).norm(dim=0).sum()


def depth_loss(found: Float[Tensor, " r"], known: Float[Tensor, " r"]) -> Float[Tensor, ""]:
    """Absolute differences of depth along z: the published single-view form."""
    return (found - known).abs().sum()


def place_loss(found: Float[Tensor, "r 3"], known: Float[Tensor, "r 3"]) -> Float[Tensor, ""]:
    """Distances of points: the published multi-view form of the depth loss."""
    return (found - known).norm(dim=-1).sum()


def empty_loss(logits: Float[Tensor, " p"]) -> Float[Tensor, ""]:
    """Cross entropy of points that must lie outside, on rays that pass the object."""
    return F.softplus(logits).sum()


def filled_loss(logits: Float[Tensor, " p"]) -> Float[Tensor, ""]:
    """Cross entropy of points that should lie inside, on rays that ought to hit."""
    return F.softplus(-logits).sum()


def normal_loss(
    field: Field, points: Float[Tensor, "p 3"], aside: Float[Tensor, "p 3"], step: float
) -> Float[Tensor, ""]:
    """How much normals differ between neighbouring places.

    Args:
        field: positive inside.
        points: on the surface; no gradient flows to them.
        aside: from each to its neighbour.
        step: of the differences that normals are made of.
    """
    both = outward_normals(field, torch.cat([points, points + aside]), step=step)
    return (both[: len(points)] - both[len(points) :]).norm(dim=-1).sum()


def patches_within(kept: Bool[Tensor, " r"]) -> Bool[Tensor, " n"]:
    """Which patches of four rays in a row are kept whole."""
    return kept.reshape(-1, 4).all(dim=-1)

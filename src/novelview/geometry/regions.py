"""Connected regions of pictures."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Int
from torch import Tensor


def connected_regions(inside: Bool[Tensor, "h w"], *, corners: bool = False) -> Int[Tensor, "h w"]:
    """Which region each pixel belongs to, numbered from 0 in the order of their first pixels by rows; -1 outside.

    Labels of neighbours are joined and their trees flattened in turn, so that few rounds are needed however long a region
    winds (Shiloach and Vishkin, Journal of Algorithms 1982).

    Args:
        inside: the pixels that are to be told apart.
        corners: whether pixels that touch at a corner only are neighbours.
    """
    number = torch.arange(inside.numel(), device=inside.device).view(inside.shape)
    pairs = [_neighbours(number, inside, down, across) for down, across in ((0, 1), (1, 0))]
    if corners:
        pairs += [_neighbours(number, inside, 1, across) for across in (1, -1)]
    one, other = torch.cat(pairs, dim=1)
    root = number.flatten()
    while True:
        low = torch.minimum(root[one], root[other])
        joined = root.scatter_reduce(0, torch.cat([root[one], root[other]]), torch.cat([low, low]), "amin")
        while not torch.equal(flatter := joined[joined], joined):
            joined = flatter
        if torch.equal(joined, root):
            break
        root = joined
    region = torch.full_like(number, -1)
    region[inside] = root.view(inside.shape)[inside].unique(return_inverse=True)[1]
    return region


def _neighbours(
    number: Int[Tensor, "h w"], inside: Bool[Tensor, "h w"], down: int, across: int
) -> Int[Tensor, "2 p"]:
    """Pairs of pixels inside that are ``down`` rows and ``across`` columns apart."""
    height, width = inside.shape
    here = (slice(0, height - down), slice(max(0, -across), width - max(0, across)))
    there = (slice(down, height), slice(max(0, across), width - max(0, -across)))
    both = inside[here] & inside[there]
    return torch.stack([number[here][both], number[there][both]])

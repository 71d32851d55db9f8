"""Photographs of one scene brought to one exposure, by what several of them show alike."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from novelview.methods.quark.rig import Rig
from novelview.rendering.layers import disparities, gather, pixel_centres

# Cells along the longer side, and planes, at which photographs are compared.
ACROSS, PLANES = 48, 32
# Every round finds better planes with the gains of the one before.
ROUNDS = 4
# Share of the cells, those on which the photographs agree best, from which gains are taken.
AGREEING = 0.5
# Added to colours before logarithms are taken.
DARK = 0.02


def exposure_gains(photographs: Float[Tensor, "m 3 h w"], rig: Rig) -> Float[Tensor, "m 3"]:
    """Factor per view and colour that brings photographs of one target to their common exposure.

    A plane sweep finds where the photographs agree best; there, each is compared with the mean of all. The mean of the
    logarithms of the gains is 0.
    """
    rows = max(2, round(ACROSS / max(rig.aspect, 1.0)))
    columns = max(2, round(rows * rig.aspect))
    small = F.interpolate(photographs, (rows, columns), mode="bilinear", antialias=True)
    middle = small.new_zeros(1, PLANES, rows, columns)
    places, seen = rig.projections().points(
        pixel_centres(rows, columns, small)[None], disparities(middle, rig.near, rig.far)
    )
    colours = (gather(small[None], places)[0] + DARK).log()
    weight = seen[0, :, :, None].to(colours)
    gains = small.new_zeros(len(small), 3)
    for _ in range(ROUNDS):
        gains = gains + _step(colours + gains[:, None, :, None, None], weight)
        gains = gains - gains.mean(dim=0)
    return gains.exp()


def _step(colours: Float[Tensor, "m l 3 h w"], weight: Float[Tensor, "m l 1 h w"]) -> Float[Tensor, "m 3"]:
    """How much brighter each photograph must become to agree with the mean, where all agree best."""
    count = weight.sum(dim=0)
    mean = (colours * weight).sum(dim=0) / count.clamp(min=1)
    spread = ((colours - mean).square() * weight).sum(dim=0).mean(dim=1) / count[:, 0].clamp(min=1)
    spread = spread.masked_fill(count[:, 0] < 2, torch.inf)
    best = spread.argmin(dim=0)[None]
    agree = spread.gather(0, best)[0]
    good = agree <= agree[agree.isfinite()].quantile(AGREEING) if bool(agree.isfinite().any()) else agree < 0
    missing = (mean - colours).gather(1, best.expand(len(colours), 3, -1, -1)[:, None])[:, 0]
    known = (weight.gather(1, best.expand(len(colours), 1, -1, -1)[:, None])[:, 0] > 0) & good
    middle = missing.masked_fill(~known, torch.nan).flatten(2).nanmedian(dim=2).values
    return middle.nan_to_num(0.0)

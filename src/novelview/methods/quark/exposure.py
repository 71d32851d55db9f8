"""Photographs of one scene brought to one exposure, by what several of them show alike."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from novelview.cameras.cameras import Cameras
from novelview.cameras.selection import select_views
from novelview.data.pinholes import Image, of_one_size, resized
from novelview.methods.quark.rig import Rig
from novelview.rendering.layers import disparities, gather, pixel_centres

# Photographs that are compared at a time.
TOGETHER = 6
# Cells along the longer side, and planes, at which photographs are compared.
ACROSS, PLANES = 48, 32
# Every round finds better planes with the gains of the one before.
ROUNDS = 4
# Share of the cells, those on which the photographs agree best, from which gains are taken.
AGREEING = 0.5
# Added to colours before logarithms are taken.
DARK = 0.02
# How much a gain of 1 is preferred, beside what one comparison says.
CAUTION = 1e-3


def exposure_gains(
    photographs: list[Image], cameras: Cameras, near: float, far: float
) -> Float[Tensor, "n 3"]:
    """Factor per photograph and colour that brings a scene's photographs to one exposure.

    Each photograph is compared with those that best show what it shows; all that these comparisons say of the gains'
    ratios is then balanced by least squares. One factor per photograph, whatever is rendered: a factor that depended on
    the new view would flicker. The mean of the gains' logarithms is 0.

    Args:
        photographs: in [0, 1].
        cameras: pinhole cameras that took them.
        near, far: depths between which something is seen.
    """
    count = len(photographs)
    small = [resized(each, _cells(each)) for each in photographs]
    normal, wanted = CAUTION * torch.eye(count), torch.zeros(count, 3)
    for i in range(count):
        group = list(select_views(cameras[i], cameras, near, far, TOGETHER).indices)
        rig = Rig.of(cameras[i], cameras[group], near, far)
        # Of a group's gains only the ratios are known: their differences from their mean.
        known = torch.eye(len(group)) - 1 / len(group)
        normal[torch.tensor(group)[:, None], torch.tensor(group)] += known
        wanted[group] += known @ relative_gains(of_one_size([small[j] for j in group]), rig).log()
    gains = torch.linalg.solve(normal, wanted)
    return (gains - gains.mean(dim=0)).exp()


def relative_gains(photographs: Float[Tensor, "m 3 h w"], rig: Rig) -> Float[Tensor, "m 3"]:
    """Factors that bring photographs of what one target sees to their common exposure.

    A plane sweep finds where the photographs agree best; there, each is compared with the mean of all. The mean of the
    logarithms of the factors is 0.
    """
    rows, columns = photographs.shape[-2:]
    middle = photographs.new_zeros(1, PLANES, rows, columns)
    places, seen = rig.projections().points(
        pixel_centres(rows, columns, photographs)[None], disparities(middle, rig.near, rig.far)
    )
    colours = (gather(photographs[None], places)[0] + DARK).log()
    weight = seen[0, :, :, None].to(colours)
    gains = photographs.new_zeros(len(photographs), 3)
    for _ in range(ROUNDS):
        gains = gains + _step(colours + gains[:, None, :, None, None], weight)
        gains = gains - gains.mean(dim=0)
    return gains.exp()


def _cells(photograph: Image) -> tuple[int, int]:
    """Rows and columns at which a photograph is compared."""
    height, width = photograph.shape[-2:]
    scale = ACROSS / max(height, width)
    return max(2, round(height * scale)), max(2, round(width * scale))


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

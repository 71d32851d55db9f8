"""The network: photographs to a layered depth map, refined by looking at it from where the photographs were taken."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from novelview.methods.quark.blocks import Collapse, Encoder, FusionGroup, PixelNorm, Queries, Update
from novelview.methods.quark.config import FINEST, QuarkConfig, rows_and_columns
from novelview.methods.quark.rig import Rig
from novelview.methods.quark.sweep import FINER, PLANES, SweepStart, agreement
from novelview.rendering.layers import disparities, gather, over_layers, pixel_centres, splat

# Opacity's logit at first.
FIRST_ALPHA = -1.0


@dataclass(frozen=True)
class Layers:
    """A layered depth map before its activation: logits of place in the band, opacity and blend weights.

    Attributes:
        depth: place in the layer's band, before tanh.
        alpha: opacity, before sigmoid.
        blend: shares of the input views in the colour, before softmax over views.
    """

    depth: Float[Tensor, "b l h w"]
    alpha: Float[Tensor, "b l h w"]
    blend: Float[Tensor, "b l m h w"]


class Network(nn.Module):
    """Section 3.2 of the paper."""

    def __init__(self, config: QuarkConfig) -> None:
        super().__init__()
        self.config, width, branches = config, config.channels, config.branches
        levels = range(config.levels[0], FINEST + 1)
        self.encoder = Encoder(width, config.encoder_blocks, len(levels))
        self.rays = nn.ModuleList(nn.Conv2d(4 * config.octaves, width, 1) for _ in levels)
        self.first = nn.Parameter(0.5 * torch.randn(width))
        self.sweep = SweepStart(width) if config.sweep else None
        self.fusion = nn.ModuleDict(
            {
                f"step{i}": nn.ModuleList(FusionGroup(width, heads, each, branches) for _ in range(groups))
                for i, (heads, groups, each) in enumerate(
                    zip(config.heads, config.groups, config.convolutions, strict=True)
                )
            }
        )
        later = len(config.levels) - 1
        self.norms = nn.ModuleList(PixelNorm(width) for _ in range(later + 1))
        self.heads = nn.ModuleList(_head(width, 2 + config.appearance) for _ in range(later))
        self.heads.append(_head(width, 2))
        self.updates = nn.ModuleList(Update(width, config.appearance) for _ in range(later))
        self.collapses = nn.ModuleDict(
            {str(i): Collapse(width) for i, on in enumerate(config.collapse) if on}
        )
        self.blend = Queries(width, 1)

    def forward(self, images: Float[Tensor, "b m 3 p q"], rig: Rig, coarser: int = 1) -> Layers:
        """The layered depth map of each target.

        Args:
            images: input views, in [0, 1].
            rig: cameras of targets and views.
            coarser: divides rows and columns of layers and features.
        """
        return _Pass(self, images, rig, coarser).run()


class _Pass:
    """One way through the network: what all steps share, and the cells as they are now."""

    def __init__(self, network: Network, images: Tensor, rig: Rig, coarser: int) -> None:
        self.network, self.config, self.rig = network, network.config, rig
        self.count, self.views = images.shape[:2]
        self.projections = rig.projections()
        finest = self._grid(self.config.feature_cells, coarser, images.shape[-1] / images.shape[-2])
        twice = [2 * side for side in finest]
        self.images = F.interpolate(images.flatten(0, 1), twice, mode="bilinear", antialias=True)
        maps = network.encoder(self.images)
        encoded = rig.rays(*_size(maps[0]), self.config.octaves)
        rays = [
            project(_resized(encoded, _size(features)))
            for project, features in zip(network.rays, maps, strict=True)
        ]
        self.features = dict(enumerate(maps, self.config.levels[0]))
        self.rays = dict(enumerate(rays, self.config.levels[0]))
        rows, columns = self._grid(self.config.cells, coarser, rig.aspect)
        self.sizes = [(rows >> (FINEST - level), columns >> (FINEST - level)) for level in range(FINEST + 1)]

    def _grid(self, cells: int, coarser: int, aspect: float) -> tuple[int, int]:
        return rows_and_columns(round(cells * (self.config.detail / coarser) ** 2), aspect)

    def run(self) -> Layers:
        config = self.config
        cells, depth = self._start()
        views, say = self._looked_up(self.features[config.levels[0]] + self.rays[config.levels[0]], depth)
        cells = self._fused(0, cells, views, say)
        for step in range(1, len(config.levels)):
            cells, depth, updated = self._rendered(step, cells)
            views, say = self._looked_up(updated, depth)
            cells = self._fused(step, cells, views, say)
        depth, alpha, _ = self._read(len(config.levels) - 1, cells)
        logits = self.network.blend(cells.flatten(0, 1), views)[:, 0]
        return Layers(depth, alpha, logits.float().unflatten(0, cells.shape[:2]))

    def _start(self) -> tuple[Tensor, Tensor]:
        """Cells that know nothing, or what a plane sweep says, in the middle of their bands."""
        rows, columns = self.sizes[self.config.levels[0]]
        shape = (self.count, self.config.first_layers, rows, columns)
        depth = self.images.new_zeros(shape)
        cells = self.network.first[:, None, None].expand(*shape[:2], -1, rows, columns)
        if self.network.sweep is None:
            return cells, depth
        return cells + self.network.sweep(
            self._agreement(shape[1] * PLANES, FINER * rows, FINER * columns)
        ), depth

    def _agreement(self, planes: int, rows: int, columns: int) -> Tensor:
        """How well the photographs agree on planes, evenly spread over the range."""
        height, width = _size(self.features[self.config.levels[0]])
        small = _resized(self.images, (FINER * height, FINER * width))
        places, seen = self._places(self.images.new_zeros(self.count, planes, rows, columns))
        colours = gather(small.unflatten(0, (self.count, self.views)), places)
        weights = seen * (self.rig.weights / self.rig.weights.sum(dim=1, keepdim=True))[..., None, None, None]
        return agreement(colours, weights)

    def _rendered(self, step: int, cells: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Cells and their depths at a step's resolution, and the views' features after they saw the layers."""
        level, before = self.config.levels[step], self.config.levels[step - 1]
        if self.config.collapse[step]:
            cells = self.network.collapses[str(step)](cells)
        depth, alpha, appearance = self._read(step - 1, cells)
        places, _ = self._places(depth)
        opacity = alpha.sigmoid()[:, :, None]
        seen_from = splat(
            torch.cat([appearance.sigmoid() * opacity, opacity, torch.ones_like(opacity)], dim=2),
            places,
            _size(self.features[before]),
        )
        # An average where points pile up; where they thin out, the layer is transparent.
        layers = seen_from[..., :-1, :, :] / seen_from[..., -1:, :, :].clamp(min=1)
        looks = over_layers(layers[..., :-1, :, :], layers[..., -1:, :, :]).flatten(0, 1)
        if level != before:
            looks = _resized(looks, _size(self.features[level]))
            cells = _resized(cells.flatten(0, 1), self.sizes[level]).unflatten(0, cells.shape[:2])
            depth = _resized(depth, self.sizes[level])
        return cells, depth, self.network.updates[step - 1](self.features[level], looks, self.rays[level])

    def _places(self, depth: Tensor) -> tuple[Tensor, Tensor]:
        """Where the views see the cells, by the logits of their depths."""
        xy = pixel_centres(*_size(depth), depth).expand(self.count, -1, -1, -1)
        return self.projections.points(xy, disparities(depth.tanh(), self.rig.near, self.rig.far))

    def _looked_up(self, features: Tensor, depth: Tensor) -> tuple[Tensor, Tensor]:
        """What each view's features say of each cell, and how much say they have."""
        places, seen = self._places(depth)
        found = gather(features.unflatten(0, (self.count, self.views)), places)
        return found.transpose(1, 2).flatten(0, 1), self.rig.say(seen).transpose(1, 2).flatten(0, 1)

    def _fused(self, step: int, cells: Tensor, views: Tensor, say: Tensor) -> Tensor:
        x = cells.flatten(0, 1)
        for group in self.network.fusion[f"step{step}"].children():
            x = group(x, views, say)
        return x.unflatten(0, cells.shape[:2])

    def _read(self, head: int, cells: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits of depth and opacity, and of the appearance where the head has one."""
        flat = self.network.norms[head](cells.flatten(0, 1))
        # What geometry follows from stays exact where the network computes in bfloat16.
        read = self.network.heads[head](flat).float().unflatten(0, cells.shape[:2])
        return read[:, :, 0], read[:, :, 1], read[:, :, 2:]


def _head(channels: int, outputs: int) -> nn.Conv2d:
    """Depths and opacities that hardly differ from cell to cell at first."""
    head = nn.Conv2d(channels, outputs, 1)
    with torch.no_grad():
        head.weight[:2].mul_(0.1)
        assert head.bias is not None
        head.bias[0], head.bias[1] = 0.0, FIRST_ALPHA
    return head


def _size(x: Float[Tensor, "*n h w"]) -> tuple[int, int]:
    return x.shape[-2], x.shape[-1]


def _resized(x: Float[Tensor, "n c h w"], size: tuple[int, int]) -> Float[Tensor, "n c p q"]:
    return F.interpolate(x, size, mode="bilinear", align_corners=False, antialias=x.shape[-1] > size[1])

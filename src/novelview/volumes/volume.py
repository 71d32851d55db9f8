"""A volume that learns: one coarse look along every ray, then a close one where there is something to see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from novelview.geometry.rays import Rays
from novelview.rendering.volume import mean_depth, opacity
from novelview.types import Bounds
from novelview.volumes.config import VolumeConfig
from novelview.volumes.field import GridField, Shape
from novelview.volumes.kernels import kernels_for
from novelview.volumes.lookup import Coordinates
from novelview.volumes.losses import distortion, total_variation
from novelview.volumes.sampling import edges_between
from novelview.volumes.warp import make_warp

# Where a scene has no background, this is what remains of rays that nothing stops.
GREY = (0.5, 0.5, 0.5)
# A GPU wants more work at once than a CPU, whose caches should hold what is worked on.
RAYS_AT_ONCE = {"cpu": 8192, "cuda": 65536}
REFRESH_STEPS = 16
# The gradient of a slab costs as much as one of the whole grid: rarely, and with more weight, is faster.
VARIATION_STEPS = 2
SLABS = 8
# Number of views at which total variation has the weight of the configuration.
SMOOTH_VIEWS = 40
# Blocks per axis by which rays are sorted: a row of blocks should fit a cache.
BLOCKS = 32
# Rays on which the coarse copy of the density stops less light see the background alone.
LEAST_OPACITY = 1e-3
# Optical thickness of the whole unit cube at density 1: a cell of a grid of 100 nodes per axis then has 1.
THICKNESS = 100.0


@dataclass(frozen=True)
class Seen:
    """What is seen along those rays that meet anything.

    Attributes:
        rays: which ones these are.
        count: how many were looked along.
        values: sums of the colour grid's channels, weighted by the light that each sample sends to the eye.
        opacity: part of the light that did not come from the background.
        depth: mean depth along z.
        weights: contribution of each interval.
        shares: ends of these intervals, as shares of the way from the ray's first to its last depth.
    """

    rays: Int[Tensor, " seen"]
    count: int
    values: Float[Tensor, "seen c"]
    opacity: Float[Tensor, " seen"]
    depth: Float[Tensor, " seen"]
    weights: Float[Tensor, "seen s"]
    shares: Float[Tensor, "seen s+1"]

    def pixels(
        self, rgb: Float[Tensor, "seen 3"], background: Float[Tensor, " 3"]
    ) -> tuple[Float[Tensor, "r 3"], Float[Tensor, " r"], Float[Tensor, " r"]]:
        """Colours in front of a background, depths and opacities of all rays; 0 where there is nothing.

        Args:
            rgb: what is added to the background's colour.
            background: seen by the other rays.
        """
        found = torch.cat([rgb, self.depth[:, None], self.opacity[:, None]], dim=-1)
        pixels = found.new_zeros(self.count, 5).index_copy(0, self.rays, found)
        return pixels[:, :3] + background, pixels[:, 3], pixels[:, 4]


class Volume(nn.Module):
    """Density, and ``channels`` of whatever is composited along rays, for one scene."""

    def __init__(self, config: VolumeConfig, bounds: Bounds, channels: int) -> None:
        super().__init__()
        self.config = config
        self.warp = make_warp(bounds, config.margin)
        self.stage = 0
        self.field = GridField(*self._shapes(), channels, config.initial_density)

    @property
    def flops_per_ray(self) -> int:
        """Floating-point operations per ray of the close look: two for each value at the eight nodes around a sample."""
        return 2 * 8 * (1 + self.field.colour.shape[-1]) * self.config.samples

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Optimiser groups, see :meth:`novelview.methods.method.Method.parameter_groups`."""
        return [
            {"params": [self.field.density]},
            {"params": [self.field.colour], "scale": self.config.colour_rate},
        ]

    def advance(self, step: int, steps: int) -> bool:
        """Grow when it is due; returns whether the parameters are new ones. What was grown before stays so."""
        last = self.config.stages - 1
        due = int(last * step / (self.config.grow_until * steps)) if steps else last
        grown = min(due, last) > self.stage
        if grown:
            self.grow_to(min(due, last))
        if grown or step % REFRESH_STEPS == 0:
            self.field.refresh()
        return grown

    def grow_to(self, stage: int) -> None:
        """Resample the grids to the resolution of a stage."""
        self.stage = stage
        self.field.resize(*self._shapes())

    def look(self, rays: Rays, coarse: Float[Tensor, "x y z"], jitter: Float[Tensor, "r 1"]) -> Seen:
        """What is seen along ``rays``, given in scene coordinates.

        Args:
            rays: with directions of any length.
            coarse: density that decides where to look, see :meth:`GridField.pooled`.
            jitter: where in their strata the samples lie, in [0, 1].
        """
        config, warp, count = self.config, self.warp, len(rays)
        rays = warp.rays(rays)
        near, far = warp.span(rays)
        even = torch.linspace(0, 1, config.coarse_samples + 1, device=near.device).expand(count, -1)
        position, length = self.between(rays, edges_between(near, far, even, warp.logarithmic))[:2]
        kernels = kernels_for(coarse)
        found, shares = kernels.guide(
            coarse, position, length, config.even_share, config.samples + 1, jitter[:, :1]
        )
        # Most rays of an object scene pass beside the object and cost next to nothing.
        seen = torch.nonzero(found > LEAST_OPACITY)[:, 0]
        edges = edges_between(near[seen], far[seen], shares[seen], warp.logarithmic)
        if self.training:
            order = self._neighbours(rays[seen], edges)
            seen, edges = seen[order], edges[order]
        position, length, middle = self.between(rays[seen], edges)
        field = self.field
        values, weights = kernels.composite(field.density, field.colour, field.shift, position, length)
        depth = mean_depth(weights, middle)
        return Seen(seen, count, values, opacity(weights), depth, weights, shares[seen])

    def regularisation(self, seen: Seen, step: int, views: int) -> tuple[Tensor, dict[str, Tensor]]:
        """What training adds to the colour error: its sum, and its parts without their weights."""
        config, field = self.config, self.field
        spread = distortion(seen.weights, seen.shares).sum() / seen.count
        total, parts = config.distortion * spread, {"distortion": spread.detach()}
        if step % VARIATION_STEPS == 0:
            # The fewer views, the more the field must be told what it cannot see.
            scarcity = VARIATION_STEPS * SMOOTH_VIEWS / views
            for name, table, weight in (
                ("density_variation", field.density, scarcity * config.smooth_density),
                ("colour_variation", field.colour, scarcity * config.smooth_colour),
            ):
                variation = total_variation(table, step // VARIATION_STEPS, SLABS)
                total, parts[name] = total + weight * variation, variation.detach()
        return total, parts

    def between(
        self, rays: Rays, edges: Float[Tensor, "r edges"]
    ) -> tuple[Coordinates, Float[Tensor, "r s"], Float[Tensor, "r s"]]:
        """Positions of the middles of intervals along rays, optical lengths of these at density 1, and depths."""
        middle = (edges[:, 1:] + edges[:, :-1]) / 2
        position, speed = self.warp.points(rays, middle)
        return position, edges.diff(dim=-1) * speed * THICKNESS, middle

    def _neighbours(self, rays: Rays, edges: Float[Tensor, "r e"]) -> Int[Tensor, " r"]:
        """An order in which rays that look at the same place follow each other, and find its nodes in the cache."""
        median = edges.shape[1] // 2
        block = torch.zeros(len(rays), dtype=torch.long, device=edges.device)
        for axis in self.warp.points(rays, edges[:, median : median + 1])[0]:
            block = block * BLOCKS + (axis[:, 0] * BLOCKS).long()
        return block.argsort(stable=True)

    def _shapes(self) -> tuple[Shape, Shape]:
        """Nodes of the density and the colour grid along each axis at the present stage."""
        share = 0.5 ** (self.config.stages - 1 - self.stage)
        sizes = (self.config.resolution * share, self.config.colour_resolution * share)
        x, y, z = self.warp.shape
        density, colour = ((max(2, round(n * x)), max(2, round(n * y)), max(2, round(n * z))) for n in sizes)
        return density, colour

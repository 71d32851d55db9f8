"""The grid as a method: one coarse look along every ray, then a close one where there is something to see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from novelview.cameras.cameras import Cameras
from novelview.errors import ConfigError
from novelview.geometry.rays import Rays
from novelview.methods.grid.config import GridConfig
from novelview.methods.grid.field import GridField, Shape
from novelview.methods.grid.harmonics import harmonics
from novelview.methods.grid.kernels import kernels_for
from novelview.methods.grid.lookup import Coordinates
from novelview.methods.grid.losses import distortion, total_variation
from novelview.methods.grid.sampling import edges_between
from novelview.methods.grid.warp import make_warp
from novelview.methods.method import Loss, Method
from novelview.random import Draws
from novelview.rendering.volume import mean_depth, opacity
from novelview.types import Batch, Bounds, Frames, RayBatch, Views

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
class Look:
    """What is seen along rays.

    Attributes:
        rgb: colours, with the background behind them; not clamped.
        opacity: part of the light that did not come from the background.
        depth: mean depth along z, 0 where there is nothing.
        weights: contribution of each interval, for the rays that meet anything.
        shares: ends of these intervals, as shares of the way from the ray's first to its last depth.
    """

    rgb: Float[Tensor, "r 3"]
    opacity: Float[Tensor, " r"]
    depth: Float[Tensor, " r"]
    weights: Float[Tensor, "seen s"]
    shares: Float[Tensor, "seen s+1"]


class Grid(Method):
    """Dense-grid radiance field, trained for one scene."""

    def __init__(self, config: GridConfig, bounds: Bounds) -> None:
        super().__init__()
        self.config, self.bounds = config, bounds
        self.warp = make_warp(bounds, config.margin)
        self.background: Tensor
        self.register_buffer("background", torch.tensor(bounds.background or GREY), persistent=False)
        self.stage = 0
        channels = 3 * (config.degree + 1) ** 2
        self.field = GridField(*self._shapes(), channels, config.initial_density)

    def condition(self, views: Views, bounds: Bounds) -> Tensor:
        """The coarse copy of the density; all else is in the parameters."""
        return self.field.pooled()

    def parameter_groups(self) -> list[dict[str, Any]]:
        return [
            {"params": [self.field.density]},
            {"params": [self.field.colour], "scale": self.config.colour_rate},
        ]

    def advance(self, step: int, steps: int) -> bool:
        last = self.config.stages - 1
        due = int(last * step / (self.config.grow_until * steps)) if steps else last
        grown = min(due, last) != self.stage
        if grown:
            self.stage = min(due, last)
            self.field.resize(*self._shapes())
        if grown or step % REFRESH_STEPS == 0:
            self.field.refresh()
        return grown

    def shards(self) -> list[nn.Module]:
        raise ConfigError(
            "A grid's weights cannot be sharded",
            why="it grows while it learns",
            cure="train without --shards",
        )

    def structure(self) -> dict[str, Any]:
        return {"stage": self.stage}

    def restructure(self, structure: dict[str, Any]) -> None:
        self.stage = int(structure["stage"])
        self.field.resize(*self._shapes())

    def loss(self, batch: Batch, step: int, draws: Draws) -> Loss:
        assert isinstance(batch, RayBatch)
        config, field = self.config, self.field
        jitter = draws.rand(len(batch), 1).to(batch.rgb.device)
        look = self(batch.rays, field.coarse, jitter)
        mse = F.mse_loss(look.rgb, batch.rgb)
        spread = distortion(look.weights, look.shares).sum() / len(batch)
        total = mse + config.distortion * spread
        parts = {"mse": mse.detach(), "distortion": spread.detach()}
        if step % VARIATION_STEPS == 0:
            # The fewer views, the more the field must be told what it cannot see.
            scarcity = VARIATION_STEPS * SMOOTH_VIEWS / batch.views
            for name, table, weight in (
                ("density_variation", field.density, scarcity * config.smooth_density),
                ("colour_variation", field.colour, scarcity * config.smooth_colour),
            ):
                variation = total_variation(table, step // VARIATION_STEPS, SLABS)
                total, parts[name] = total + weight * variation, variation.detach()
        if batch.mask is not None and not self.bounds.unbounded:
            mask = F.mse_loss(look.opacity, batch.mask)
            total, parts["mask"] = total + config.mask_loss * mask, mask.detach()
        return Loss(total, parts)

    @torch.no_grad()
    def render(self, state: Tensor, cameras: Cameras) -> Frames:
        width, height = cameras.common_size
        at_once = RAYS_AT_ONCE.get(state.device.type, RAYS_AT_ONCE["cuda"])
        half = torch.full((at_once, 1), 0.5, device=state.device)
        frames = []
        for i in range(len(cameras)):
            rays = cameras[i].rays().reshape(-1).to(state.device)
            chunks = [rays[start : start + at_once] for start in range(0, len(rays), at_once)]
            looks = [self(chunk, state, half[: len(chunk)]) for chunk in chunks]
            parts = [
                torch.cat(
                    [each.rgb.clamp(0, 1), each.depth[:, None], each.opacity.clamp(0, 1)[:, None]], dim=-1
                )
                for each in looks
            ]
            pixels = torch.cat(parts).view(1, height, width, 5).to(cameras.device)
            frames.append(Frames(pixels[..., :3], pixels[..., 3], pixels[..., 4]))
        return Frames.concatenate(frames)

    def forward(self, rays: Rays, coarse: Float[Tensor, "x y z"], jitter: Float[Tensor, "r 1"]) -> Look:
        """What is seen along ``rays``, given in scene coordinates.

        Args:
            rays: with directions of any length.
            coarse: density that decides where to look, see :meth:`GridField.pooled`.
            jitter: where in their strata the samples lie, in [0, 1].
        """
        config, warp = self.config, self.warp
        basis = harmonics(rays.directions, config.degree)
        rays = warp.rays(rays)
        near, far = warp.span(rays)
        even = torch.linspace(0, 1, config.coarse_samples + 1, device=near.device).expand(len(rays), -1)
        position, length = self._between(rays, edges_between(near, far, even, warp.logarithmic))[:2]
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
        shares = shares[seen]
        position, length, middle = self._between(rays[seen], edges)
        field = self.field
        # Colour is linear in its coefficients, so these can be composited first.
        total, weights = kernels.composite(field.density, field.colour, field.shift, position, length)
        total = total.view(len(seen), 3, basis.shape[1])
        covered = opacity(weights)
        beyond = self.background - 0.5
        rgb = (total * basis[seen, None]).sum(dim=-1) - covered[:, None] * beyond
        empty = near.new_zeros(len(found), 5)
        pixels = torch.cat([rgb, mean_depth(weights, middle)[:, None], covered[:, None]], dim=-1)
        pixels = empty.index_copy(0, seen, pixels)
        return Look(pixels[:, :3] + self.background, pixels[:, 4], pixels[:, 3], weights, shares)

    def _between(
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

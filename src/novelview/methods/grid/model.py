"""The grid as a method: spherical harmonics of colour in a volume, composited before they become a colour."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from novelview.cameras.cameras import Cameras
from novelview.errors import ConfigError
from novelview.geometry.rays import Rays
from novelview.methods.chunks import look_through, rays_at_once
from novelview.methods.grid.config import GridConfig
from novelview.methods.grid.harmonics import harmonics
from novelview.methods.method import Loss, Method
from novelview.random import Draws
from novelview.types import Batch, Bounds, Frames, RayBatch, Views
from novelview.volumes.volume import GREY, RAYS_AT_ONCE, Seen, Volume


class Grid(Method):
    """Dense-grid radiance field, trained for one scene."""

    def __init__(self, config: GridConfig, bounds: Bounds) -> None:
        super().__init__()
        self.config, self.bounds = config, bounds
        self.background: Tensor
        self.register_buffer("background", torch.tensor(bounds.background or GREY), persistent=False)
        self.volume = Volume(config, bounds, 3 * (config.degree + 1) ** 2)

    def condition(self, views: Views, bounds: Bounds) -> Tensor:
        """The coarse copy of the density; all else is in the parameters."""
        return self.volume.field.pooled()

    def parameter_groups(self) -> list[dict[str, Any]]:
        return self.volume.parameter_groups()

    def advance(self, step: int, steps: int) -> bool:
        return self.volume.advance(step, steps)

    def shards(self) -> list[nn.Module]:
        raise ConfigError(
            "A grid's weights cannot be sharded",
            why="it grows while it learns",
            cure="train without --shards",
        )

    def structure(self) -> dict[str, Any]:
        return {"stage": self.volume.stage}

    def restructure(self, structure: dict[str, Any]) -> None:
        self.volume.grow_to(int(structure["stage"]))

    def loss(self, batch: Batch, step: int, draws: Draws) -> Loss:
        assert isinstance(batch, RayBatch)
        volume = self.volume
        jitter = draws.rand(len(batch), 1).to(batch.rgb.device)
        seen = volume.look(batch.rays, volume.field.coarse, jitter)
        rgb, _, covered = seen.pixels(self._colours(seen, batch.rays), self.background)
        mse = F.mse_loss(rgb, batch.rgb)
        extra, parts = volume.regularisation(seen, step, batch.views)
        total, parts = mse + extra, {"mse": mse.detach(), **parts}
        if batch.mask is not None and not self.bounds.unbounded:
            mask = F.mse_loss(covered, batch.mask)
            total, parts["mask"] = total + self.config.mask_loss * mask, mask.detach()
        return Loss(total, parts)

    @property
    def flops_per_ray(self) -> int:
        """Floating-point operations per ray of the look-ups."""
        return self.volume.flops_per_ray

    @torch.no_grad()
    def render(self, state: Tensor, cameras: Cameras) -> Frames:
        look, at_once = partial(self._pixels, coarse=state), rays_at_once(state.device, RAYS_AT_ONCE)
        frames = []
        for i in range(len(cameras)):
            pixels = look_through(cameras[i], state.device, at_once, look)[None]
            frames.append(Frames(pixels[..., :3], pixels[..., 3], pixels[..., 4]))
        return Frames.concatenate(frames)

    def _pixels(self, rays: Rays, coarse: Float[Tensor, "x y z"]) -> Float[Tensor, "r 5"]:
        """Colour, depth along z and opacity."""
        half = torch.full((len(rays), 1), 0.5, device=coarse.device)
        seen = self.volume.look(rays, coarse, half)
        rgb, depth, covered = seen.pixels(self._colours(seen, rays), self.background)
        return torch.cat([rgb.clamp(0, 1), depth[:, None], covered.clamp(0, 1)[:, None]], dim=-1)

    def _colours(self, seen: Seen, rays: Rays) -> Float[Tensor, "seen 3"]:
        """What the rays that meet anything add to the background's colour; not clamped."""
        basis = harmonics(rays.directions, self.config.degree)[seen.rays]
        # Colour is linear in its coefficients, so these could be composited first.
        rgb = (seen.values.unflatten(1, (3, -1)) * basis[:, None]).sum(dim=-1)
        return rgb - seen.opacity[:, None] * (self.background - 0.5)

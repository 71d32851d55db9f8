"""R2L as a method: a student that learns the colour of every ray, and is asked once per pixel."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from novelview.cameras.cameras import Cameras
from novelview.errors import ConfigError
from novelview.geometry.rays import Rays
from novelview.light_field import LightField
from novelview.methods.chunks import rays_at_once
from novelview.methods.method import Loss, Method
from novelview.methods.r2l.config import R2LConfig
from novelview.methods.r2l.hard import HardPool
from novelview.methods.r2l.student import Student
from novelview.methods.r2l.students import make_student
from novelview.random import Draws
from novelview.types import Batch, Bounds, Frames, RayBatch, Views


class R2L(Method):
    """Neural light field, trained for one scene (Wang et al., ECCV 2022)."""

    def __init__(self, config: R2LConfig, bounds: Bounds) -> None:
        super().__init__()
        self.config, self.bounds = config, bounds
        self.student = make_student(config, bounds)
        self.pool = HardPool(config.hard)

    def condition(self, views: Views, bounds: Bounds) -> None:
        """Nothing: the scene is in the parameters."""

    @torch.no_grad()
    def render(self, state: None, cameras: Cameras) -> Frames:
        device = self.pool.rows.device
        cameras = cameras.through_pixels(self.config.pixel_centre)
        at_once = rays_at_once(device, self.student.rays_at_once)
        frames = []
        for i in range(len(cameras)):
            pixels = self.student.frame(cameras[i], at_once, device)
            frames.append(_frame(pixels[None].to(cameras.device)))
        return Frames.concatenate(frames)

    def loss(self, batch: Batch, step: int, draws: Draws) -> Loss:
        assert isinstance(batch, RayBatch)
        if self.config.hard.share and draws.count > 1:
            raise ConfigError(
                "A batch with hard examples cannot be cut into slices",
                why="the worst rays of the whole batch are kept for later batches",
                cure="train with one process and accumulate 1, or set hard.share to 0",
            )
        picked = self.pool.pick(len(batch), draws.generator)
        rows, samples = len(batch) + (0 if picked is None else len(picked)), self.student.jitter_samples
        jitter = draws.rand(rows, samples).to(batch.rgb.device) if samples else None
        return self.learn(batch, step, jitter, picked)

    def learn(
        self,
        batch: RayBatch,
        step: int,
        jitter: Float[Tensor, "r s"] | None,
        picked: Int[Tensor, " p"] | None,
    ) -> Loss:
        """The loss of a batch with all that is left to chance given; the pool takes in its worst rays.

        Args:
            batch: fresh rays.
            step: of the training.
            jitter: for the fresh rays and then the hard ones, as :class:`Student` wants it.
            picked: which hard rays join the batch, see :meth:`HardPool.pick`.
        """
        rays, rgb = batch.rays, batch.rgb
        if picked is not None:
            hard, hard_rgb = self.pool.drawn(picked)
            rays = Rays(
                torch.cat([rays.origins, hard.origins]), torch.cat([rays.directions, hard.directions])
            )
            rgb = torch.cat([rgb, hard_rgb])
        found, extra, parts = self.student.learn(rays, jitter, step)
        errors = (found - rgb).square().mean(dim=-1)
        if self.config.hard.share:
            self.pool.keep(batch, errors.detach()[: len(batch)], picked)
        mse = errors.mean()
        return Loss(mse + extra, {"mse": mse.detach(), **parts})

    def light_field(self, state: None) -> LightField:
        return LightField(_Picture(self.student), self.student.factor)

    def parameter_groups(self) -> list[dict[str, Any]]:
        return self.student.parameter_groups()

    def advance(self, step: int, steps: int) -> bool:
        return self.student.advance(step, steps)

    def structure(self) -> dict[str, Any]:
        return {"hard_rays": len(self.pool), **self.student.structure()}

    def restructure(self, structure: dict[str, Any]) -> None:
        self.pool.resize(int(structure["hard_rays"]))
        self.student.restructure(structure)


class _Picture(nn.Module):
    """A student as what is asked for pictures."""

    def __init__(self, student: Student) -> None:
        super().__init__()
        self.student = student

    def forward(
        self, origins: Float[Tensor, "h w 3"], directions: Float[Tensor, "h w 3"]
    ) -> Float[Tensor, "a b 3"]:
        return self.student.picture(origins, directions)


def _frame(pixels: Float[Tensor, "n h w c"]) -> Frames:
    """Frames of what a student renders: colours, and perhaps depth and opacity."""
    rgb = pixels[..., :3].clamp(0, 1)
    return Frames(rgb, pixels[..., 3], pixels[..., 4].clamp(0, 1)) if pixels.shape[-1] == 5 else Frames(rgb)

"""NeRF as a method: two looks along every ray, coarse and fine, each through a network of its own."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from novelview.cameras.cameras import Cameras
from novelview.errors import MethodError
from novelview.geometry.intervals import (
    disparity_depths,
    lengths,
    linear_depths,
    midpoints,
    sample_pdf,
    stratified,
)
from novelview.geometry.rays import Rays
from novelview.methods.chunks import look_through, rays_at_once
from novelview.methods.method import Loss, Method
from novelview.methods.nerf.config import NeRFConfig
from novelview.methods.nerf.ndc import FrontFrame
from novelview.methods.nerf.network import Network
from novelview.random import Draws
from novelview.rendering.volume import (
    alpha_from_density,
    composite,
    mean_depth,
    opacity,
    over,
    weights_from_alpha,
)
from novelview.types import Batch, Bounds, Frames, RayBatch, Views

# Hidden layers that stay in the CPU's cache are much faster there; a GPU wants more work at once.
RAYS_AT_ONCE = {"cpu": 64, "cuda": 8192}


@dataclass(frozen=True)
class Randomness:
    """The random numbers of a batch, in the order the authors' code draws them; None: none.

    Attributes:
        jitter: uniform, place of each coarse sample in its stratum.
        coarse_noise: normal, added to the coarse network's raw density.
        importance: uniform, where the coarse distribution is inverted.
        fine_noise: normal, added to the fine network's raw density.
    """

    jitter: Float[Tensor, "r coarse"] | None = None
    coarse_noise: Float[Tensor, "r coarse"] | None = None
    importance: Float[Tensor, "r fine"] | None = None
    fine_noise: Float[Tensor, "r both"] | None = None

    @staticmethod
    def draw(config: NeRFConfig, draws: Draws, rays: int, device: torch.device) -> Randomness:
        """What the configuration leaves to chance, for ``rays`` rays."""
        coarse, fine = config.coarse_samples, config.fine_samples

        def uniform(samples: int) -> Tensor | None:
            return draws.rand(rays, samples).to(device) if config.perturb else None

        def noise(samples: int) -> Tensor | None:
            return config.raw_noise * draws.randn(rays, samples).to(device) if config.raw_noise else None

        return Randomness(uniform(coarse), noise(coarse), uniform(fine), noise(coarse + fine))


@dataclass(frozen=True)
class Look:
    """What one network sees along rays.

    Attributes:
        rgb: colours, with the background behind them.
        opacity: part of the light that did not come from the background.
        samples: ray parameters that were looked at, increasing: depths along z, or NDC.
        weights: contribution of each sample.
    """

    rgb: Float[Tensor, "r 3"]
    opacity: Float[Tensor, " r"]
    samples: Float[Tensor, "r s"]
    weights: Float[Tensor, "r s"]


class NeRF(Method):
    """Neural radiance field, trained for one scene (Mildenhall et al., ECCV 2020)."""

    def __init__(self, config: NeRFConfig, bounds: Bounds) -> None:
        super().__init__()
        self.config, self.bounds = config, bounds
        self.near, self.far = _depth_range(config, bounds)
        self.front = FrontFrame(bounds) if config.ndc else None
        self.background: Tensor
        # The authors know white and black; black is also what they leave where there is no background.
        self.register_buffer(
            "background", torch.tensor(bounds.background or (0.0, 0.0, 0.0)), persistent=False
        )
        self.coarse = Network(config)
        self.fine = Network(config)

    def condition(self, views: Views, bounds: Bounds) -> None:
        """Nothing: the scene is in the parameters."""

    @torch.no_grad()
    def render(self, state: None, cameras: Cameras) -> Frames:
        device = next(self.parameters()).device
        cameras = cameras.through_pixels(self.config.pixel_centre)
        at_once = self.config.chunk or rays_at_once(device, RAYS_AT_ONCE)
        frames = []
        for i in range(len(cameras)):
            pixels = look_through(cameras[i], device, at_once, self._pixels)[None]
            frames.append(Frames(pixels[..., :3], pixels[..., 3], pixels[..., 4]))
        return Frames.concatenate(frames)

    def loss(self, batch: Batch, step: int, draws: Draws) -> Loss:
        assert isinstance(batch, RayBatch)
        randomness = Randomness.draw(self.config, draws, len(batch), batch.rgb.device)
        coarse, fine = self(batch.rays, randomness)
        coarse_mse, fine_mse = F.mse_loss(coarse.rgb, batch.rgb), F.mse_loss(fine.rgb, batch.rgb)
        parts = {"mse": fine_mse.detach(), "mse_coarse": coarse_mse.detach()}
        return Loss(fine_mse + coarse_mse, parts)

    def forward(self, rays: Rays, randomness: Randomness = Randomness()) -> tuple[Look, Look]:
        """What the coarse and the fine network see along ``rays``, given in scene coordinates."""
        if self.front is not None:
            rays = self.front(rays)
        directions = F.normalize(rays.directions, dim=-1)
        if self.front is not None:
            rays = self.front.ndc(rays)
        samples = self._spread(len(rays), randomness.jitter)
        coarse = self._look(self.coarse, rays, directions, samples, randomness.coarse_noise)
        u = randomness.importance
        if u is None:
            u = torch.linspace(0, 1, self.config.fine_samples, device=samples.device).expand(len(rays), -1)
        found = sample_pdf(midpoints(samples), coarse.weights[:, 1:-1].detach(), u)
        both = torch.cat([samples, found], dim=-1).sort(dim=-1).values
        return coarse, self._look(self.fine, rays, directions, both, randomness.fine_noise)

    @property
    def flops_per_ray(self) -> int:
        """Floating-point operations per ray of the two networks' linear layers."""
        coarse, fine = self.config.coarse_samples, self.config.fine_samples
        return coarse * self.coarse.flops + (coarse + fine) * self.fine.flops

    def _spread(self, rays: int, jitter: Tensor | None) -> Float[Tensor, "r s"]:
        """Ray parameters of the first look."""
        ends = torch.tensor([self.near, self.far], device=self.background.device).expand(rays, 2)
        spread = disparity_depths if self.config.lindisp else linear_depths
        samples = spread(ends[:, 0], ends[:, 1], self.config.coarse_samples)
        return samples if jitter is None else stratified(samples, jitter)

    def _look(
        self, network: Network, rays: Rays, directions: Tensor, samples: Tensor, noise: Tensor | None
    ) -> Look:
        """One network's view along ``rays``, whose viewing directions are ``directions``."""
        points = rays.at(samples)
        seen_from = directions[:, None].expand_as(points)
        raw = network(points.reshape(-1, 3), seen_from.reshape(-1, 3)).float().unflatten(0, samples.shape)
        density = F.relu(raw[..., 3] if noise is None else raw[..., 3] + noise)
        # The last interval never ends: whatever density is met there hides the background.
        deltas = lengths(samples, 1e10) * rays.directions.norm(dim=-1, keepdim=True)
        weights = weights_from_alpha(alpha_from_density(density, deltas), epsilon=1e-10)
        covered = opacity(weights)
        rgb = over(composite(weights, raw[..., :3].sigmoid()), covered, self.background)
        return Look(rgb, covered, samples, weights)

    def _pixels(self, rays: Rays) -> Float[Tensor, "r 5"]:
        """Colour, depth along z and opacity."""
        _, fine = self(rays)
        depth = mean_depth(fine.weights, fine.samples)
        if self.front is not None:
            depth = self.front.depth(self.front(rays), depth) * (fine.opacity > 0)
        return torch.cat([fine.rgb.clamp(0, 1), depth[:, None], fine.opacity[:, None].clamp(0, 1)], dim=-1)


def _depth_range(config: NeRFConfig, bounds: Bounds) -> tuple[float, float]:
    if config.ndc:
        return 0.0, 1.0
    if bounds.far == float("inf"):
        raise MethodError("NeRF cannot reach infinitely far", cure="open the scene with a finite far depth")
    return bounds.near, bounds.far

"""ViewDiff as a method: from words and views to views from elsewhere, and what a training step is made of."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from novelview.cameras.cameras import Cameras
from novelview.cameras.selection import spread_views
from novelview.data.co3d.colours import intensities
from novelview.data.middle import middle_squares
from novelview.errors import ConfigError
from novelview.generation import Request, Studio, Watch
from novelview.methods.method import Loss, Method
from novelview.methods.viewdiff.conditions import UNKNOWN_INTENSITY
from novelview.methods.viewdiff.config import ViewDiffConfig
from novelview.methods.viewdiff.denoiser import predict
from novelview.methods.viewdiff.frame import network_cameras, to_network
from novelview.methods.viewdiff.generating import Known, generate_views
from novelview.methods.viewdiff.losses import drawn_given, dropped, noised, shown_error, weighted_error
from novelview.methods.viewdiff.network import Network
from novelview.methods.viewdiff.prior import PriorPictures, prior_cameras
from novelview.methods.viewdiff.projection.cameras import GroupCameras
from novelview.methods.viewdiff.sampling import make_scheduler
from novelview.random import Draws, generator_for
from novelview.types import Batch, Bounds, Frames, RayBatch, Views


class ViewDiff(Method):
    """Multi-view diffusion (Höllein et al., CVPR 2024)."""

    def __init__(self, config: ViewDiffConfig) -> None:
        super().__init__()
        self.config = config
        self.network = Network(config)
        self._prior: PriorPictures | None = None
        self._kept = make_scheduler("ddim", config.noise).alphas_cumprod

    def parameter_groups(self) -> list[dict[str, Any]]:
        """The volume renderer learns faster, and its weights do not decay (ViewDiff, section 4)."""
        learning = [(name, p) for name, p in self.named_parameters() if p.requires_grad]
        groups: list[dict[str, Any]] = [
            {"params": [p for name, p in learning if "volume_renderer" not in name]},
            {
                "params": [p for name, p in learning if "volume_renderer" in name],
                "scale": self.config.learn.renderer_rate,
                "weight_decay": 0.0,
            },
        ]
        return [group for group in groups if group["params"]]

    def studio(self) -> Studio:
        stage, size, reach = self.config.stage, self.config.size, math.sqrt(3)
        bounds = Bounds(
            near=max(0.1, stage.distance - reach),
            far=stage.distance + reach,
            box_min=(-1.0, -1.0, -1.0),
            box_max=(1.0, 1.0, 1.0),
            unbounded=False,
            background=(1.0, 1.0, 1.0) if stage.white else None,
        )
        return Studio(bounds, size, size, stage.distance, stage.field_of_view, stage.elevation)

    @torch.no_grad()
    def condition(self, views: Views, bounds: Bounds) -> Known:
        """Looks at some of the views, spread over them."""
        count = min(self.config.views, len(views))
        return self._known(views[spread_views(views.cameras, count)] if count else None, bounds)

    def render(self, state: Known, cameras: Cameras) -> Frames:
        """Views that go with those that are known; what one call asks for is made together."""
        return generate_views(self.network, state, self.config.prompt, cameras, self.config.seed)

    def one_by_one(self, state: Known, cameras: Cameras) -> Callable[[int], Frames]:
        if len(cameras.sizes.unique(dim=0)) > 1:
            return super().one_by_one(state, cameras)
        everything = cache(lambda: self.render(state, cameras))
        return lambda i: everything()[i : i + 1]

    @torch.no_grad()
    def generate(self, request: Request, watch: Watch | None = None) -> Frames:
        known = self._known(request.known, self.studio().bounds)
        return generate_views(self.network, known, request.prompt, request.cameras, request.seed, watch)

    def loss(self, batch: Batch, step: int, draws: Draws) -> Loss:
        assert not isinstance(batch, RayBatch)
        given = drawn_given(len(batch), self.config.learn, draws)
        images, cameras = self._frames(batch, given, draws)
        prompts = [sample.caption for sample in batch]
        parts = self._errors(images, cameras, given, prompts, draws)
        weights = {
            "views": 1.0,
            "shown": self.config.learn.shown_weight,
            "prior": self.config.learn.prior_weight,
        }
        if self.config.learn.prior:
            # Only who trains must have them.
            self._prior = self._prior or PriorPictures.read(self.config.learn.prior)
            parts["prior"] = self._prior_error(self._prior, len(batch), draws)
        total = torch.stack([weights[name] * part for name, part in parts.items()]).sum()
        return Loss(total, {name: part.detach() for name, part in parts.items()})

    def _prior_error(self, prior: PriorPictures, count: int, draws: Draws) -> Float[Tensor, ""]:
        """Of single pictures of the base model, none of which is given."""
        images, prompts = prior.drawn(draws.rand(count), self.config.size)
        cameras = prior_cameras(draws.rand(count, 4), self.config.size)
        return self._errors(images, cameras, torch.zeros(count, 1, dtype=torch.bool), prompts, draws)["views"]

    def _errors(
        self,
        images: Float[Tensor, "b n 3 s s"],
        cameras: GroupCameras,
        given: Bool[Tensor, "b n"],
        prompts: list[str],
        draws: Draws,
    ) -> dict[str, Float[Tensor, ""]]:
        """What the network's prediction, and what its projection layers show, cost for groups of views in [-1, 1]."""
        device, learn = self.network.device, self.config.learn
        shown: list[Tensor] | None = [] if learn.shown_weight else None
        # Geometry stays exact, whatever the arithmetic of the training.
        with torch.autocast(device.type, enabled=False):
            images = images.to(device)
            views = noised(self._encoded(images, draws), given, self._kept, self.config.noise, draws)
            scenery = self.network.scenery(
                cameras,
                views.given,
                intensities(images),
                left_out=learn.left_out if images.shape[1] > learn.left_out else 0,
                noise=_density_noise(draws),
                shown=shown,
            )
        text = self.network.read(dropped(prompts, images.shape[1], learn, draws))
        found = predict(self.network.unet, views.latents, views.timesteps, text, scenery)
        errors = {"views": weighted_error(found, views)}
        # Layers that are computed again for the gradient show their colours a second time then.
        return errors | ({"shown": shown_error(tuple(shown), images)} if shown else {})

    def _known(self, views: Views | None, bounds: Bounds) -> Known:
        frame, codec = to_network(bounds), self.network.codec
        if views is None or not len(views):
            side = self.network.side()
            nothing = torch.zeros(0, codec.channels, side, side, device=self.network.device)
            return Known(nothing, None, UNKNOWN_INTENSITY, frame)
        squares = middle_squares(views, self.config.size)
        images = _signed(squares)
        mean, variance = intensities(images[None])[0, 0].tolist()
        latents = codec.encode(images.to(self.network.device))
        return Known(latents, squares.cameras.to("cpu"), (mean, variance), frame)

    def _frames(
        self, batch: Batch, given: Bool[Tensor, "b n"], draws: Draws
    ) -> tuple[Float[Tensor, "b n 3 s s"], GroupCameras]:
        """All views of each sample, those to predict last, in [-1, 1], and their cameras."""
        assert not isinstance(batch, RayBatch)
        turned = {"never": False, "given": given.any(dim=1), "always": True}[self.config.learn.turned]
        turns = 2 * math.pi * draws.rand(len(batch)) * torch.as_tensor(turned)
        images, cameras, frames = [], [], []
        for sample, turn in zip(batch, turns.tolist(), strict=True):
            found = [middle_squares(part, self.config.size) for part in (sample.sources, sample.targets)]
            images.append(torch.cat([_signed(part) for part in found]))
            cameras.append(Cameras.concatenate([part.cameras for part in found]).to("cpu"))
            frames.append(to_network(sample.bounds, turn))
        counts = {len(each) for each in images}
        if len(counts) > 1:
            raise ConfigError(
                "The samples of one training step differ in their number of views",
                why=f"{sorted(counts)}: a capture has too few views",
                cure="leave it out, or lower --config.learn.frames",
            )
        return torch.stack(images), network_cameras(cameras, frames)

    def _encoded(self, images: Float[Tensor, "b n 3 s s"], draws: Draws) -> Float[Tensor, "b n c p q"]:
        codec, (groups, count) = self.network.codec, images.shape[:2]
        side = self.network.side()
        noise = draws.randn(groups, count, codec.channels, side, side).to(images)
        return codec.encode(images.flatten(0, 1), noise.flatten(0, 1)).unflatten(0, (groups, count))


def _signed(views: Views) -> Float[Tensor, "n 3 h w"]:
    """Pictures in [-1, 1]."""
    return 2 * views.images().movedim(-1, 1) - 1


def _density_noise(draws: Draws) -> Callable[[int, tuple[int, ...]], Tensor]:
    """Noise that is the same whenever it is asked for again, as gradient checkpointing does; of all slices of a batch."""
    seed = int(draws.shared() * 2**24)

    def noise(layer: int, shape: tuple[int, ...]) -> Tensor:
        return Draws(generator_for(seed, "density", layer), draws.index, draws.count).randn(*shape)

    return noise

"""Quark as a method: it chooses photographs for each new view, and keeps nothing between views."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from novelview.cameras.cameras import Cameras
from novelview.cameras.selection import Selection, select_views
from novelview.data.pinholes import covering, of_one_size, photographs
from novelview.layered import LayeredDepthMap
from novelview.methods.method import Loss, Method
from novelview.methods.quark.config import QuarkConfig
from novelview.methods.quark.examples import examples
from novelview.methods.quark.exposure import exposure_gains
from novelview.methods.quark.losses import disparity_error, lpips_error, lpips_of
from novelview.methods.quark.network import Layers, Network
from novelview.methods.quark.picture import picture, sheets
from novelview.methods.quark.renderers import fast_picture, strips
from novelview.methods.quark.rig import Rig
from novelview.nn.losses import gradient_error
from novelview.random import Draws
from novelview.rendering.layers import pixel_centres
from novelview.types import Batch, Bounds, Frames, RayBatch, Views


@dataclass(frozen=True)
class Photographs:
    """What Quark keeps of a scene: its photographs, straightened, and where they were taken.

    Attributes:
        images: colours from 0 to 255, on the network's device: a frame shows hardly more, and hundreds fit.
        cameras: without distortion, on the CPU.
        names: of the views.
        near, far: depths between which there is something.
    """

    images: tuple[UInt8[Tensor, "3 _ _"], ...]
    cameras: Cameras
    names: tuple[str, ...]
    near: float
    far: float


@dataclass(frozen=True)
class Seen:
    """A target's layered depth map, and what colours it."""

    layers: Layers
    images: Float[Tensor, "b m 3 h w"]
    rig: Rig


class Quark(Method):
    """Feed-forward layered depth maps."""

    def __init__(self, config: QuarkConfig) -> None:
        super().__init__()
        self.config = config
        self.network = Network(config)
        self._coarser = 1

    def condition(self, views: Views, bounds: Bounds) -> Photographs:
        images, cameras = photographs(views), views.cameras.undistorted()
        if self.config.exposure:
            gains = exposure_gains(images, cameras, bounds.near, bounds.far)
            pairs = zip(images, gains, strict=True)
            images = [image * gain[:, None, None] for image, gain in pairs]
        device = self.network.first.device
        kept = tuple((255 * image.clamp(0, 1)).round().to(device, torch.uint8) for image in images)
        return Photographs(kept, cameras.to("cpu"), views.names, bounds.near, bounds.far)

    @torch.no_grad()
    def render(self, state: Photographs, cameras: Cameras) -> Frames:
        return Frames.concatenate([self._frame(state, cameras[i]) for i in range(len(cameras))])

    @torch.no_grad()
    def layers(self, state: Photographs, camera: Cameras) -> LayeredDepthMap:
        wide, _ = covering(camera.to("cpu"))
        seen = self.seen(state, wide)
        width, height = wide.common_size
        xy = pixel_centres(height, width, seen.images)[None]
        shown = [sheets(seen.layers, seen.images, seen.rig, part) for part in strips(seen.layers, xy)]
        rgb, alpha, disparity = (
            torch.cat([getattr(part, name)[0].float().cpu() for part in shown], dim=-2)
            for name in ("rgb", "alpha", "disparity")
        )
        return LayeredDepthMap(
            camera=wide,
            near=1 / state.near,
            far=1 / state.far,
            rgb=rgb.permute(0, 2, 3, 1).clamp(0, 1),
            alpha=alpha,
            disparity=disparity,
        )

    def explain(self, state: Photographs, camera: Cameras) -> dict[str, Any]:
        chosen = self._chosen(state, covering(camera.to("cpu"))[0])
        columns = (chosen.indices, chosen.weights, chosen.scores, chosen.seen, chosen.angles)
        views = [
            {"view": state.names[i], "weight": weight, "score": score, "sees": sees, "degrees": angle}
            for i, weight, score, sees, angle in zip(*columns, strict=True)
        ]
        return {"seen by any": chosen.coverage, "views": views}

    def advance(self, step: int, steps: int) -> bool:
        self._coarser = 2 if step < round(self.config.half_resolution * steps) else 1
        return False

    def loss(self, batch: Batch, step: int, draws: Draws) -> Loss:
        assert not isinstance(batch, RayBatch)
        shown = examples(batch, self.config, self._coarser, draws, self.network.first)
        layers = self.network(shown.images, shown.rig, self._coarser)
        truth, found = shown.truth, picture(layers, shown.images, shown.rig, shown.truth.xy)
        l1 = (found.rgb - truth.rgb).abs().mean()
        name, detail = self._detail_error(found.rgb, truth.rgb)
        total = 10 * l1 + detail
        parts = {"l1": l1.detach(), name: detail.detach()}
        parts["mse"] = (found.rgb.detach() - truth.rgb).square().mean()
        if self.config.depth_loss and truth.disparity is not None:
            error = disparity_error(found.disparity, truth.disparity, shown.rig.near - shown.rig.far)
            total, parts["disparity"] = total + self.config.depth_loss * error, error.detach()
        return Loss(total, parts)

    def _detail_error(self, found: Tensor, wanted: Tensor) -> tuple[str, Tensor]:
        """LPIPS where its weights are given, else what stands in for it."""
        files = self.config.lpips_trunk, self.config.lpips_linear
        if any(files):
            return "lpips", lpips_error(lpips_of(*files), found, wanted)
        return "gradient", gradient_error(found, wanted)

    def _frame(self, state: Photographs, camera: Cameras) -> Frames:
        wide, xy = covering(camera.to(self.network.first.device))
        seen = self.seen(state, wide.to("cpu"))
        found = fast_picture(seen.layers, seen.images, seen.rig, xy[None].to(seen.images))
        rgb, disparity = found.rgb.permute(0, 2, 3, 1), found.disparity
        return Frames(rgb.clamp(0, 1).float().cpu(), (1 / disparity.clamp(min=1e-9)).float().cpu())

    def seen(self, state: Photographs, wide: Cameras) -> Seen:
        """What the network makes of the photographs that are chosen for a pinhole target."""
        like, chosen = self.network.first, self._chosen(state, wide)
        indices = list(chosen.indices)
        rig = Rig.of(wide, state.cameras[indices], state.near, state.far, torch.tensor(chosen.weights))
        images, rig = of_one_size([state.images[i].to(like) / 255 for i in indices])[None], rig.to(like)
        with torch.autocast(
            rig.pose.device.type, torch.bfloat16, enabled=self.config.precision == "bfloat16"
        ):
            return Seen(self.network(images, rig), images, rig)

    def _chosen(self, state: Photographs, wide: Cameras) -> Selection:
        config = self.config
        return select_views(wide, state.cameras, state.near, state.far, config.views, config.fade)

"""LVSM as a method: from a capture's photographs to the network's input, and from what it shows to frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from novelview.cameras.cameras import Cameras
from novelview.cameras.selection import spread_views
from novelview.geometry.rigid import Similarity
from novelview.methods.lvsm.config import LVSMConfig
from novelview.methods.lvsm.examples import examples
from novelview.methods.lvsm.frame import network_frame
from novelview.methods.lvsm.losses import training_loss
from novelview.methods.lvsm.networks import Network, build_network
from novelview.methods.lvsm.photographs import Canvas, photographs
from novelview.methods.lvsm.posed import Posed
from novelview.methods.method import Loss, Method
from novelview.random import Draws
from novelview.types import Batch, Bounds, Frames, RayBatch, Views


@dataclass(frozen=True)
class Seen:
    """What LVSM keeps of a scene.

    Attributes:
        images: photographs of one size.
        cameras: theirs, in scene coordinates, on the CPU.
        names: of the views.
        bounds: of the scene.
        frame: from scene coordinates to those that the network sees; frozen here, so that nothing moves with a viewer.
        encoded: what the network made of the photographs in that frame; None where targets have a say in the frame.
    """

    images: Float[Tensor, "v 3 h w"]
    cameras: Cameras
    names: tuple[str, ...]
    bounds: Bounds
    frame: Similarity | None
    encoded: Any


class LVSM(Method):
    """Large view synthesis transformers."""

    def __init__(self, config: LVSMConfig) -> None:
        super().__init__()
        self.config = config
        self.network: Network[Any] = build_network(config)
        if config.compile:
            # All blocks are alike, so one compilation serves them all.
            for block in self.network.blocks():
                block.compile()

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Weights of norms do not decay (LVSM, appendix)."""
        matrices = [p for p in self.parameters() if p.dim() > 1]
        return [
            {"params": matrices},
            {"params": [p for p in self.parameters() if p.dim() < 2], "weight_decay": 0.0},
        ]

    def shards(self) -> list[nn.Module]:
        return list(self.network.blocks())

    @torch.no_grad()
    def condition(self, views: Views, bounds: Bounds) -> Seen:
        chosen = views[spread_views(views.cameras, self.config.views)]
        images, cameras = photographs(chosen, self.config.size, self.config.patch)
        cameras = cameras.to("cpu")
        frame = None if self.config.frame == "all" else network_frame(cameras, None, bounds, self.config)
        encoded = None if frame is None else self._encode(images, cameras, frame)
        return Seen(images, cameras, chosen.names, bounds, frame, encoded)

    @torch.no_grad()
    def render(self, state: Seen, cameras: Cameras) -> Frames:
        """New views; with frame "all", that of the inputs and of all cameras asked for in this call together."""
        cameras, frame, encoded = cameras.to("cpu"), state.frame, state.encoded
        if frame is None:
            frame = network_frame(state.cameras, cameras, state.bounds, self.config)
            encoded = self._encode(state.images, state.cameras, frame)
        size, patch = self.config.size, self.config.patch
        canvases = [Canvas.of(cameras[i], size, patch) for i in range(len(cameras))]
        return Frames(torch.stack([self._frame(encoded, canvas, frame) for canvas in canvases]))

    def explain(self, state: Seen, camera: Cameras) -> dict[str, Any]:
        frame = None if state.frame is None else state.frame.to_json()
        return {"frame": frame, "views": [{"view": name} for name in state.names]}

    def loss(self, batch: Batch, step: int, draws: Draws) -> Loss:
        assert not isinstance(batch, RayBatch)
        most = min(len(sample.sources) for sample in batch)
        fewest = min(self.config.fewest_sources or most, most)
        # The same for all slices of a batch.
        count = fewest + int(float(draws.shared()) * (most - fewest + 1))
        # Geometry stays exact, whatever the arithmetic of the training.
        with torch.autocast(self._device.type, enabled=False):
            inputs, targets, wanted = examples(batch, count, self.config, self._device)
        return training_loss(self.network(inputs, targets), wanted, self.config)

    @property
    def _device(self) -> torch.device:
        return next(self.network.parameters()).device

    def _encode(self, images: Float[Tensor, "v 3 h w"], cameras: Cameras, frame: Similarity) -> Any:
        posed = Posed.of([cameras.moved(frame)], self._device, images[None])
        with self._arithmetic():
            return self.network.encode(posed)

    def _frame(self, encoded: Any, canvas: Canvas, frame: Similarity) -> Float[Tensor, "h w 3"]:
        posed = Posed.of([canvas.camera.moved(frame)], self._device)
        with self._arithmetic():
            image = self.network.decode(encoded, posed)[0, 0]
        return canvas.seen(image.float()).cpu()

    def _arithmetic(self) -> torch.autocast:
        return torch.autocast(self._device.type, torch.bfloat16, enabled=self.config.precision == "bfloat16")

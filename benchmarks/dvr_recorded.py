"""Recorded inputs and outputs of DVR's authors' code, and its conventions: pixels, matrices, look-ups."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from novelview.geometry.rays import Rays
from novelview.methods.dvr.checkpoint import SEARCH
from novelview.methods.dvr.decoder import Decoder
from novelview.methods.dvr.learning import Chance, Seen, cube_span
from novelview.methods.dvr.shape import Decoded
from parity import arrays


@dataclass(frozen=True)
class Case:
    """One recorded case: its settings, and what was rendered, trained and meshed."""

    name: str
    config: dict[str, Any]
    render: dict[str, Tensor]
    train: dict[str, Tensor]
    mesh: dict[str, Tensor]

    @staticmethod
    def read(folder: Path, name: str) -> Case:
        config = json.loads((folder / "config.json").read_text())["cases"][name]
        parts = (arrays(folder / f"{part}_{name}.npz") for part in ("render", "train", "mesh"))
        return Case(name, config, *parts)

    @property
    def batch(self) -> int:
        """Number of images."""
        return int(self.config["batch"])

    def shapes(self, dtype: torch.dtype = torch.float32) -> tuple[Decoder, list[Decoded], Tensor | None]:
        """The network, one shape for each image, and the codes."""
        config = self.config
        decoder = Decoder(config["hidden"], config["n_blocks"], config["c_dim"])
        prefix = "weights/decoder."
        weights = {
            name.removeprefix(prefix): value for name, value in self.render.items() if name.startswith(prefix)
        }
        decoder.load_state_dict(weights)
        decoder = decoder.to(dtype)
        if not config["c_dim"]:
            return decoder, [Decoded(decoder)], None
        codes = self.render["c"].to(dtype, copy=True).requires_grad_()
        return decoder, [Decoded(decoder, codes[i]) for i in range(self.batch)], codes

    def rays(self, image: int, pixels: Tensor, dtype: torch.dtype = torch.float32) -> Rays:
        """Rays whose parameter is depth along z, through pixels in [-1, 1]; set up in float64."""
        names = ("camera_mat", "world_mat", "scale_mat")
        camera, world, scale = (self.render[name][image].double() for name in names)
        back = torch.linalg.inv(camera @ world @ scale)
        u, v = pixels.double().unbind(dim=-1)
        origin = back[:3, 3]
        towards = torch.stack([u, v, torch.ones_like(u)], dim=-1) @ back[:3, :3].T
        return Rays(origin.expand(len(u), 3).to(dtype), towards.to(dtype))

    def seen(self, image: int) -> Seen:
        """The pixels that an image was learnt from."""
        pixels = self.train["pixels"][image]
        depth = looked_up(self.train["depth"][image][None], pixels)[0]
        return Seen(
            self.rays(image, pixels),
            looked_up(self.train["img"][image], pixels).T,
            looked_up(self.train["mask"][image][None], pixels)[0],
            torch.where(depth.isfinite(), depth, 0.0),
        )

    def chance(self, image: int) -> Chance:
        """Random numbers that give the recorded points."""
        train, rays = self.train, self.rays(image, self.train["pixels"][image])
        shares = []
        for half, name in ((0.55, "p_freespace_drawn"), (0.5, "p_occupancy_drawn")):
            near, far, _ = cube_span(rays, half, SEARCH.beyond)
            offset = train[name][image] - rays.origins
            at = (offset * rays.directions).sum(dim=-1) / rays.directions.square().sum(dim=-1)
            shares.append((at - near) / (far - near))
        # One row for each ray of all images that met something.
        begin, predicted = int(train["mask_pred"][:image].sum()), train["mask_pred"][image]
        aside = torch.zeros(len(predicted), 3)
        aside[predicted] = train["normal_neighbour_rand01"][begin : begin + int(predicted.sum())]
        return Chance(shares[0], shares[1], aside, aside)


def looked_up(image: Tensor, pixels: Tensor) -> Tensor:
    """Values (c, p) of an image (c, h, w) at pixels in [-1, 1]: the nearest one, 0 where the border is left."""
    return F.grid_sample(image[None], pixels[None, None], mode="nearest", align_corners=False)[0, :, 0]

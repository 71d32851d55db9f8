"""Samples as the network learns from them: inputs and targets in a common frame."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from novelview.errors import ConfigError
from novelview.methods.lvsm.config import LVSMConfig
from novelview.methods.lvsm.frame import network_frame
from novelview.methods.lvsm.posed import Posed
from novelview.types import Sample, Views


def examples(
    samples: Sequence[Sample], count: int, config: LVSMConfig, device: torch.device
) -> tuple[Posed, Posed, Float[Tensor, "b t 3 h w"]]:
    """Inputs, targets and what the targets show.

    Args:
        samples: of views of one size, in whole patches.
        count: inputs of each, the first of its sources.
        config: says which cameras fix the frame.
        device: where to.

    Raises:
        ConfigError: views differ in size, or in number.
    """
    sources = [sample.sources[:count] for sample in samples]
    targets = [sample.targets for sample in samples]
    _check([*sources, *targets], config.patch)
    _check_counts(targets)
    frames = [
        network_frame(one.cameras, other.cameras, sample.bounds, config)
        for one, other, sample in zip(sources, targets, samples, strict=True)
    ]

    def posed(views: list[Views], images: Tensor | None) -> Posed:
        cameras = [each.cameras.moved(frame) for each, frame in zip(views, frames, strict=True)]
        return Posed.of(cameras, device, images)

    return posed(sources, _images(sources)), posed(targets, None), _images(targets).to(device)


def _images(views: list[Views]) -> Float[Tensor, "b v 3 h w"]:
    return torch.stack([each.images() for each in views]).movedim(-1, 2)


def _check(views: list[Views], patch: int) -> None:
    sizes = {tuple(size) for each in views for size in each.cameras.sizes.tolist()}
    if len(sizes) > 1:
        raise ConfigError(
            "The views of one training step differ in size",
            why=f"sizes {sorted(sizes)}",
            cure="leave --config.square on, or learn from captures of one shape",
        )
    if any(side % patch for size in sizes for side in size):
        raise ConfigError(f"Views of sizes {sorted(sizes)} cannot be cut into patches of {patch}")


def _check_counts(targets: list[Views]) -> None:
    counts = {len(each) for each in targets}
    if len(counts) > 1:
        raise ConfigError(
            "The samples of one training step differ in their number of targets",
            why=f"{sorted(counts)}: a capture has too few views",
            cure="leave it out, or lower --config.targets",
        )

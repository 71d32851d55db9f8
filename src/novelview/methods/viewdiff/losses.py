"""What ViewDiff learns from: noisy views of a subject, some of which may be given (ViewDiff, section 3.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from novelview.methods.viewdiff.config import LearnConfig, NoiseConfig
from novelview.random import Draws


@dataclass(frozen=True)
class Noised:
    """Views of groups as a training step shows them.

    Attributes:
        latents: with noise.
        timesteps: of each view.
        given: which views are known; their timestep is 0.
        target: what the network shall predict.
        weight: how much errors of each view count; 0 where it is known.
    """

    latents: Float[Tensor, "b n c p q"]
    timesteps: Int[Tensor, "b n"]
    given: Bool[Tensor, "b n"]
    target: Float[Tensor, "b n c p q"]
    weight: Float[Tensor, "b n"]


def drawn_given(groups: int, learn: LearnConfig, draws: Draws) -> Bool[Tensor, "b n"]:
    """Which views of each group are given."""
    given = draws.rand(groups, learn.frames) < learn.given_share
    return given & (torch.arange(learn.frames) < learn.may_be_given)


def noised(
    clean: Float[Tensor, "b n c p q"],
    given: Bool[Tensor, "b n"],
    kept: Float[Tensor, " s"],
    noise: NoiseConfig,
    draws: Draws,
) -> Noised:
    """Add noise of one timestep to each group, except for the views that are given.

    Args:
        clean: latents of the views.
        given: which are given.
        kept: share of the variance that is still the views' after each timestep (alpha bar).
        noise: says what is predicted.
        draws: of timesteps and noise.
    """
    groups, frames = clean.shape[:2]
    given = given.to(clean.device)
    times = (draws.rand(groups, 1).to(clean.device) * len(kept)).long().clamp(max=len(kept) - 1)
    timesteps = torch.where(given, torch.zeros_like(times), times.expand(groups, frames))
    added = draws.randn(groups, *clean.shape[1:]).to(clean)
    share = kept.to(clean)[timesteps][..., None, None, None]
    signal, spread = share.sqrt(), (1 - share).sqrt()
    targets = {"epsilon": added, "v_prediction": signal * added - spread * clean, "sample": clean}
    weight = torch.ones_like(share[..., 0, 0, 0])
    if noise.prediction == "sample":
        weight = (1 / (1 - share[..., 0, 0, 0])).clamp(max=noise.most_weight)
    return Noised(
        latents=signal * clean + spread * added,
        timesteps=timesteps,
        given=given,
        target=targets[noise.prediction],
        weight=weight * ~given,
    )


def weighted_error(found: Float[Tensor, "b n c p q"], noised: Noised) -> Float[Tensor, ""]:
    """Mean squared error over all views; known ones count as perfect."""
    error = (found.float() - noised.target.float()).square().mean(dim=(2, 3, 4))
    return (error * noised.weight).mean()


def shown_error(
    shown: Sequence[Float[Tensor, "b n 3 _ _"]], images: Float[Tensor, "b n 3 s t"]
) -> Float[Tensor, ""]:
    """Mean squared error of the colours that projection layers render, each against the views at its size.

    Args:
        shown: of each layer, in [0, 1].
        images: the views, in [-1, 1].
    """
    wanted = images.flatten(0, 1) / 2 + 0.5
    errors = [
        F.mse_loss(each.flatten(0, 1), F.adaptive_avg_pool2d(wanted, (each.shape[-2], each.shape[-1])))
        for each in shown
    ]
    return torch.stack(errors).mean()


def dropped(prompts: list[str], frames: int, learn: LearnConfig, draws: Draws) -> list[str]:
    """A prompt for each view of each group, some of them left empty."""
    chance = draws.rand(len(prompts), frames)
    chance = chance if learn.per_frame_dropout else chance[:, :1].expand(-1, frames)
    return [
        "" if float(chance[g, i]) < learn.text_dropout else prompt
        for g, prompt in enumerate(prompts)
        for i in range(frames)
    ]

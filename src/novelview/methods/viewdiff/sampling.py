"""From noise to views, step by step, by any scheduler of diffusers (ViewDiff, section 3.4)."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import diffusers
import torch
from diffusers import UNet2DConditionModel
from diffusers.schedulers.scheduling_utils import SchedulerMixin
from jaxtyping import Float
from torch import Tensor

from novelview.errors import ConfigError
from novelview.methods.viewdiff.config import SCHEDULER_NAMES, NoiseConfig
from novelview.methods.viewdiff.denoiser import Scenery, predict

SCHEDULERS = {
    "unipc": "UniPCMultistepScheduler",
    "ddim": "DDIMScheduler",
    "dpm++": "DPMSolverMultistepScheduler",
    "euler": "EulerDiscreteScheduler",
}
"""Short names of those that people use."""

Watched = Callable[[int, int, Tensor], None]
"""Called after each step with the steps done, all steps, and all latents as the network now sees them without noise."""


def make_scheduler(name: str, noise: NoiseConfig, *, last_sigma: str = "sigma_min") -> Any:
    """A scheduler of diffusers.

    Args:
        name: one of :data:`SCHEDULERS`, or the name of a class of diffusers.
        noise: how the views were noised in training.
        last_sigma: where the noise ends, "sigma_min" or "zero", for those that can choose.

    Raises:
        ConfigError: diffusers has none of that name.
    """
    kind = getattr(diffusers, SCHEDULERS.get(name, name), None)
    if not (inspect.isclass(kind) and issubclass(kind, SchedulerMixin)):
        raise ConfigError(
            f"There is no scheduler {name!r}",
            cure=f"choose one of {', '.join(SCHEDULERS)}, or the name of a scheduler class of diffusers",
        )
    wanted = {
        **{name: getattr(noise, option) for option, name in SCHEDULER_NAMES.items()},
        "steps_offset": 1,
        "final_sigmas_type": last_sigma,
        "clip_sample": False,
        "set_alpha_to_one": False,
    }
    known = inspect.signature(kind).parameters
    if not {"beta_schedule", "prediction_type"} <= set(known) or not hasattr(kind, "step"):
        raise ConfigError(
            f"The scheduler {name!r} cannot denoise what this model learnt",
            why="it does not know the model's schedule of noise, or what the network predicts",
            cure=f"choose another, for example {', '.join(SCHEDULERS)}",
        )
    return kind(**{key: value for key, value in wanted.items() if key in known})


def denoise(
    unet: UNet2DConditionModel,
    scheduler: Any,
    latents: Float[Tensor, "n c p q"],
    known: Float[Tensor, "k c p q"],
    text: tuple[Float[Tensor, "n l d"], Float[Tensor, "n l d"]],
    scenery: Scenery,
    *,
    steps: int,
    guidance: float,
    overwrite: bool = False,
    generator: torch.Generator | None = None,
    watch: Watched | None = None,
) -> Float[Tensor, "n c p q"]:
    """Denoise the views of one group together.

    Args:
        unet: an augmented one.
        scheduler: made by :func:`make_scheduler`; used for this group alone.
        latents: standard normal numbers for all views.
        known: latents of the first views, which stay; may be of none.
        text: of each view for the prompt, and for the empty prompt.
        scenery: of one group.
        steps: of denoising.
        guidance: the prompt's prediction goes so many times as far from the empty prompt's; 1: it is taken as it is.
        overwrite: step with known views as the authors do: UniPC's corrector sees the new sample as the previous one.
        generator: of the noise that some schedulers add.
        watch: see :data:`Watched`.
    """
    try:
        scheduler.set_timesteps(steps, device=latents.device)
    except ValueError as error:
        raise ConfigError(
            f"Views cannot be denoised in {steps} steps", why=str(error), cure="set fewer: --adjust steps=20"
        ) from error
    count, given = len(latents), len(known)
    moving = latents[given:] * scheduler.init_noise_sigma
    options = {"generator": generator} if "generator" in inspect.signature(scheduler.step).parameters else {}
    for done, t in enumerate(scheduler.timesteps):
        noisy = torch.cat([known, scheduler.scale_model_input(moving, t)])[None]
        timesteps = t.expand(1, count).clone()
        timesteps[:, :given] = 0
        found = _guided(unet, noisy, timesteps, text, scenery, guidance)[0, given:]
        clear = _without_noise(scheduler, noisy[0, given:], found, t)
        moving = _stepped(scheduler, found, t, moving, options)
        if overwrite and given and hasattr(scheduler, "last_sample"):
            scheduler.last_sample = moving
        if watch is not None:
            watch(done + 1, len(scheduler.timesteps), torch.cat([known, clear]))
    return torch.cat([known, moving])


def _without_noise(scheduler: Any, noisy: Tensor, found: Tensor, t: Tensor) -> Tensor:
    """The views that a prediction stands for."""
    share = scheduler.alphas_cumprod.to(noisy)[t.round().long().cpu()]
    signal, spread = share.sqrt(), (1 - share).sqrt()
    kind = scheduler.config.prediction_type
    if kind == "epsilon":
        return (noisy - spread * found) / signal
    return signal * noisy - spread * found if kind == "v_prediction" else found


def _stepped(scheduler: Any, found: Tensor, t: Tensor, moving: Tensor, options: dict[str, Any]) -> Tensor:
    try:
        stepped: Tensor = scheduler.step(found, t, moving, **options).prev_sample
    except (NotImplementedError, ValueError) as error:
        raise ConfigError(
            f"The scheduler {type(scheduler).__name__} cannot use what this model predicts",
            why=f"prediction {scheduler.config.prediction_type}: {error}",
            cure=f"choose another, for example {', '.join(SCHEDULERS)}",
        ) from error
    return stepped


def _guided(
    unet: UNet2DConditionModel,
    noisy: Float[Tensor, "1 n c p q"],
    timesteps: Tensor,
    text: tuple[Tensor, Tensor],
    scenery: Scenery,
    guidance: float,
) -> Float[Tensor, "1 n c p q"]:
    """The two looks one after the other, which needs half the memory of one batch of both."""
    prompted = predict(unet, noisy, timesteps, text[0], scenery).float()
    if guidance == 1:
        return prompted
    empty = predict(unet, noisy, timesteps, text[1], scenery).float()
    return empty + guidance * (prompted - empty)

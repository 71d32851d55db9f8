"""Denoising with any scheduler of diffusers, with and without views that are given."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from viewdiff_models import noise, ring, shaken, small_config

from novelview.errors import ConfigError
from novelview.methods.viewdiff.config import NoiseConfig
from novelview.methods.viewdiff.network import Network
from novelview.methods.viewdiff.sampling import SCHEDULERS, denoise, make_scheduler

FRAMES = 3


@pytest.fixture(scope="module")
def network() -> Network:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = Network(small_config()).eval()
    shaken(made)
    return made


def denoised(network: Network, scheduler: str = "unipc", known: int = 0, **changes: object) -> Tensor:
    start = noise(FRAMES, 48, 8, 8)
    given = torch.arange(FRAMES)[None] < known
    scenery = network.scenery(ring(1, FRAMES), given, torch.zeros(1, FRAMES, 2))
    options: dict[str, object] = {"steps": 4, "guidance": 1.0} | changes
    with torch.no_grad():
        text = (network.read(["a red box"] * FRAMES), network.read([""] * FRAMES))
        return denoise(
            network.unet,
            make_scheduler(scheduler, NoiseConfig()),
            start,
            start[:known],
            text,
            scenery,
            generator=torch.Generator().manual_seed(1),
            **options,  # type: ignore[arg-type]
        )


@pytest.mark.parametrize("scheduler", [*SCHEDULERS, "DDPMScheduler", "HeunDiscreteScheduler"])
def test_any_scheduler_gives_views(network: Network, scheduler: str) -> None:
    first, again = (denoised(network, scheduler) for _ in range(2))
    assert bool(first.isfinite().all())
    torch.testing.assert_close(first, again, rtol=0, atol=0)


def test_an_unknown_scheduler_is_named() -> None:
    with pytest.raises(ConfigError, match="no scheduler 'unicp'"):
        make_scheduler("unicp", NoiseConfig())


@pytest.mark.parametrize("name", ["IPNDMScheduler", "EDMEulerScheduler", "FlowMatchEulerDiscreteScheduler"])
def test_schedulers_of_other_models_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="cannot denoise what this model learnt"):
        make_scheduler(name, NoiseConfig())


def test_more_steps_than_there_are_are_refused(network: Network) -> None:
    with pytest.raises(ConfigError, match="cannot be denoised in 2000 steps"):
        denoised(network, "ddim", steps=2000)


def test_what_is_no_scheduler_is_refused() -> None:
    with pytest.raises(ConfigError, match="no scheduler 'UNet2DConditionModel'"):
        make_scheduler("UNet2DConditionModel", NoiseConfig())


@pytest.mark.parametrize("scheduler", list(SCHEDULERS))
def test_given_views_stay_and_change_the_others(network: Network, scheduler: str) -> None:
    free, given = denoised(network, scheduler), denoised(network, scheduler, known=1)
    torch.testing.assert_close(given[:1], noise(FRAMES, 48, 8, 8)[:1], rtol=0, atol=0)
    assert float((given[1:] - free[1:]).abs().max()) > 1e-3


def test_the_authors_step_with_given_views_differs(network: Network) -> None:
    ours, theirs = (denoised(network, known=1, overwrite=overwrite) for overwrite in (False, True))
    assert float((ours - theirs).abs().max()) > 1e-3


def test_without_given_views_both_steps_are_one(network: Network) -> None:
    ours, theirs = (denoised(network, overwrite=overwrite) for overwrite in (False, True))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


def test_guidance_leads_away_from_the_empty_prompt(network: Network) -> None:
    plain, guided = denoised(network), denoised(network, guidance=5.0)
    assert float((plain - guided).abs().max()) > 1e-3


def test_every_step_can_be_watched(network: Network) -> None:
    seen: list[tuple[int, int]] = []
    denoised(network, watch=lambda done, steps, latents: seen.append((done, steps)))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
@pytest.mark.parametrize("scheduler", ["unipc", "ddim", "dpm++", "euler"])
def test_a_perfect_network_finds_the_view(prediction: str, scheduler: str) -> None:
    """Whatever is predicted, a scheduler that is told the truth about noise ends at the view that was noised."""
    config = replace(NoiseConfig(), prediction=prediction)
    made = make_scheduler(scheduler, config)
    made.set_timesteps(20)
    kept = make_scheduler("ddim", config).alphas_cumprod
    view = 0.5 * noise(1, 3, 4, 4, seed=1)
    now = noise(1, 3, 4, 4, seed=2) * made.init_noise_sigma
    for t in made.timesteps:
        share = kept[int(t)]
        seen = made.scale_model_input(now, t)
        added = (seen - share.sqrt() * view) / (1 - share).sqrt()
        velocity = share.sqrt() * added - (1 - share).sqrt() * view
        said = {"epsilon": added, "v_prediction": velocity, "sample": view}[prediction]
        now = made.step(said, t, now).prev_sample
    torch.testing.assert_close(now, view, rtol=0, atol=0.1)

"""What a training step is made of."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import Tensor
from viewdiff_models import noise

from novelview.cameras.cameras import Cameras
from novelview.data.scene import Scene
from novelview.errors import DataError
from novelview.methods.viewdiff.config import LearnConfig, NoiseConfig
from novelview.methods.viewdiff.examples import scene_samples
from novelview.methods.viewdiff.losses import (
    Noised,
    drawn_given,
    dropped,
    noised,
    shown_error,
    weighted_error,
)
from novelview.methods.viewdiff.sampling import make_scheduler
from novelview.random import Draws, generator_for
from novelview.types import Bounds, Views

GROUPS, FRAMES = 400, 4
LEARN = LearnConfig(frames=FRAMES)


def kept() -> Tensor:
    return make_scheduler("ddim", NoiseConfig()).alphas_cumprod


def drawn(prediction: str = "epsilon", learn: LearnConfig = LEARN) -> tuple[Tensor, Noised]:
    clean = noise(GROUPS, FRAMES, 2, 3, 3)
    config = replace(NoiseConfig(), prediction=prediction)
    draws = Draws(generator_for(0, "test"))
    return clean, noised(clean, drawn_given(GROUPS, learn, draws), kept(), config, draws)


def test_only_the_first_views_are_given_each_as_often_as_told() -> None:
    _, views = drawn()
    shares = views.given.float().mean(dim=0)
    torch.testing.assert_close(shares[:2], torch.full((2,), 0.25), rtol=0, atol=0.06)
    assert not bool(views.given[:, 2:].any())


def test_given_views_have_no_time_and_do_not_count() -> None:
    _, views = drawn()
    assert int(views.timesteps[views.given].max()) == 0
    assert float(views.weight[views.given].max()) == 0


def test_views_of_a_group_share_their_time() -> None:
    _, views = drawn(learn=replace(LEARN, may_be_given=0))
    assert bool((views.timesteps == views.timesteps[:, :1]).all())
    assert len(views.timesteps[:, 0].unique()) > 100


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
def test_what_is_predicted_gives_the_views_back(prediction: str) -> None:
    clean, views = drawn(prediction)
    share = kept()[views.timesteps][..., None, None, None]
    signal, spread = share.sqrt(), (1 - share).sqrt()
    found = {
        "epsilon": (views.latents - spread * views.target) / signal,
        "v_prediction": signal * views.latents - spread * views.target,
        "sample": views.target,
    }[prediction]
    torch.testing.assert_close(found, clean, rtol=0, atol=1e-3)


def test_a_perfect_prediction_costs_nothing_and_any_other_something() -> None:
    _, views = drawn()
    assert float(weighted_error(views.target, views)) == 0
    assert float(weighted_error(views.target + 1, views)) == pytest.approx(
        float(views.weight.mean()), rel=1e-5
    )


def test_predicted_views_count_by_velocity_up_to_a_limit() -> None:
    _, views = drawn("sample", replace(LEARN, may_be_given=0))
    signal = kept()[views.timesteps]
    torch.testing.assert_close(views.weight, (1 + signal / (1 - signal)).clamp(max=5.0))


@pytest.mark.parametrize("per_frame", [False, True])
def test_prompts_are_left_empty_as_often_as_told(per_frame: bool) -> None:
    learn = replace(LEARN, per_frame_dropout=per_frame)
    prompts = dropped(["a red box"] * GROUPS, FRAMES, learn, Draws(generator_for(0, "text")))
    empty = torch.tensor([prompt == "" for prompt in prompts]).view(GROUPS, FRAMES)
    assert float(empty.float().mean()) == pytest.approx(0.2, abs=0.05)
    assert bool((empty == empty[:, :1]).all()) != per_frame


def test_slices_of_a_batch_draw_what_the_whole_one_draws() -> None:
    clean = noise(4, FRAMES, 2, 3, 3)
    given = torch.zeros(4, FRAMES, dtype=torch.bool)
    whole = noised(clean, given, kept(), NoiseConfig(), Draws(generator_for(0, "slices")))
    for i in range(2):
        half, draws = slice(2 * i, 2 * i + 2), Draws(generator_for(0, "slices"), i, 2)
        part = noised(clean[half], given[half], kept(), NoiseConfig(), draws)
        torch.testing.assert_close(part.latents, whole.latents[2 * i : 2 * i + 2])


def scene(views: int, captions: tuple[str, ...] = ("a red box", "a box")) -> Scene:
    poses = torch.eye(4)[:3].expand(views, 3, 4)
    cameras = Cameras.pinhole(poses, torch.tensor([8.0, 8.0, 4.0, 4.0]), 8, 8)
    photographs = Views.from_tensors(cameras, torch.zeros(views, 8, 8, 3))
    bounds = Bounds(near=1.0, far=2.0, box_min=(-1.0,) * 3, box_max=(1.0,) * 3)
    return Scene("box", photographs, photographs[:0], bounds, captions=captions)


def test_samples_have_their_views_their_caption_and_no_view_twice() -> None:
    item = scene_samples(scene(9), FRAMES, 8, 0)
    captions, orders = set(), set()
    for i in range(60):
        sample = item(i)
        names = (*sample.sources.names, *sample.targets.names)
        assert len(set(names)) == FRAMES
        captions.add(sample.caption)
        orders.add(names)
    assert captions == {"a red box", "a box"}
    assert len(orders) > 30


def test_some_samples_follow_the_order_of_the_capture() -> None:
    item = scene_samples(scene(40), FRAMES, 8, 0)
    numbers = [
        [int(name[-4:]) for name in (*s.sources.names, *s.targets.names)] for s in map(item, range(60))
    ]
    strides = [{(b - a) % 40 for a, b in pairwise(order)} for order in numbers]
    ordered = [stride for stride in strides if len(stride) == 1 and stride <= {1, 2, 3, 4}]
    assert 15 < len(ordered) < 45


def test_a_capture_with_too_few_views_is_named() -> None:
    with pytest.raises(DataError, match="too small to learn from"):
        scene_samples(scene(3), FRAMES, 8, 0)


def test_what_layers_show_is_held_against_the_views_at_its_size() -> None:
    images = noise(2, 3, 3, 8, 8).tanh()
    whole = images / 2 + 0.5
    half = whole.unflatten(-1, (4, 2)).unflatten(-3, (4, 2)).mean(dim=(-1, -3))
    assert float(shown_error([whole, half], images)) == pytest.approx(0, abs=1e-10)
    expected = ((half - 1).square().mean() + (whole - 0.5).square().mean()) / 2
    found = shown_error([torch.ones_like(half), torch.full_like(whole, 0.5)], images)
    torch.testing.assert_close(found, expected)

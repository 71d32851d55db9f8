"""Exposure: photographs that differ in brightness are brought together where they show the same."""

from __future__ import annotations

from dataclasses import replace

import torch

from novelview.data.procedural import make_scene
from novelview.methods.quark.exposure import exposure_gains, relative_gains
from novelview.methods.quark.rig import Rig


def test_gains_that_were_put_on_photographs_are_found() -> None:
    scene = make_scene("forward", 5, views=7, size=64, supersample=1)
    images = scene.train.images().permute(0, 3, 1, 2) * 0.7
    applied = torch.tensor([0.8, 1.25, 1.0, 0.9, 1.1, 1.0])[:, None] * torch.tensor([1.0, 0.95, 1.05])
    rig = Rig.of(scene.test.cameras[:1], scene.train.cameras, scene.bounds.near, scene.bounds.far)
    gains = relative_gains(images * applied[:, :, None, None], rig)
    torch.testing.assert_close(gains.log().mean(dim=0), torch.zeros(3), atol=1e-5, rtol=0)
    expected = (1 / applied).log()
    expected = (expected - expected.mean(dim=0)).exp()
    torch.testing.assert_close(gains, expected, atol=0.05, rtol=0)


def test_photographs_of_one_exposure_stay_as_they_are() -> None:
    scene = make_scene("forward", 5, views=7, size=64, supersample=1)
    rig = Rig.of(scene.test.cameras[:1], scene.train.cameras, scene.bounds.near, scene.bounds.far)
    gains = relative_gains(scene.train.images().permute(0, 3, 1, 2), rig)
    torch.testing.assert_close(gains, torch.ones_like(gains), atol=0.03, rtol=0)


def test_a_single_photograph_has_nothing_to_agree_with() -> None:
    scene = make_scene("forward", 5, views=7, size=16, supersample=1)
    rig = Rig.of(scene.test.cameras[:1], scene.train.cameras[:1], scene.bounds.near, scene.bounds.far)
    gains = relative_gains(scene.train.images()[:1].permute(0, 3, 1, 2), rig)
    torch.testing.assert_close(gains, torch.ones(1, 3))


def test_gains_of_many_photographs_are_found_however_few_are_compared_at_a_time() -> None:
    scene = make_scene("forward", 5, views=17, size=64, supersample=1)
    images, bounds = scene.train.images().permute(0, 3, 1, 2) * 0.7, scene.bounds
    applied = 1 + 0.3 * torch.sin(torch.arange(len(images)))[:, None] * torch.tensor([1.0, 0.8, 1.1])
    brought = [*(images * applied[:, :, None, None])]
    gains = exposure_gains(brought, scene.train.cameras, bounds.near, bounds.far)
    expected = (1 / applied).log()
    expected = (expected - expected.mean(dim=0)).exp()
    torch.testing.assert_close(gains, expected, atol=0.08, rtol=0)
    assert float((gains - expected).abs().mean()) < 0.03


def test_gains_of_a_photograph_that_shares_nothing_with_others_stay_near_one() -> None:
    scene = make_scene("forward", 5, views=7, size=32, supersample=1)
    cameras = scene.train.cameras
    away = cameras.camera_to_world.clone()
    away[0, :, 3] += 1000
    images = [*scene.train.images().permute(0, 3, 1, 2)]
    gains = exposure_gains(
        [0.5 * images[0], *images[1:]],
        replace(cameras, camera_to_world=away),
        scene.bounds.near,
        scene.bounds.far,
    )
    torch.testing.assert_close(gains, torch.ones_like(gains), atol=0.05, rtol=0)

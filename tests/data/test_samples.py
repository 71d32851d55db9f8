"""Samples for feed-forward methods: stateless, cut into slices, and never with the target among the sources."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from novelview.cameras import Cameras
from novelview.data.procedural import ProceduralStream, make_scene
from novelview.data.samples import SampleSampler, SceneSamples, halved, zoomed
from novelview.data.scene import Scene
from novelview.data.straighten import straightened
from novelview.errors import ConfigError
from novelview.geometry.lenses import Lens
from novelview.types import Views


@pytest.fixture(scope="module")
def scene() -> Scene:
    return make_scene("forward", 3, views=10, size=16, supersample=1)


def test_a_scenes_samples_never_show_their_target(scene: Scene) -> None:
    samples = SceneSamples(scene.train, scene.bounds, sources=3, seed=5)
    targets = set()
    for i in range(12):
        sample = samples.item(i)
        assert len(sample.sources) == 3
        assert len(sample.targets) == 1
        assert sample.targets.names[0] not in sample.sources.names
        assert set(sample.targets.names) | set(sample.sources.names) <= set(scene.train.names)
        assert sample.bounds == scene.bounds
        targets.add(sample.targets.names[0])
    assert len(targets) >= 4
    assert samples.item(7).sources.names == samples.item(7).sources.names


def test_slices_together_are_the_batch() -> None:
    stream = ProceduralStream(("forward",), size=8, sources=2)
    sampler = SampleSampler([stream.item], 4)
    whole = sampler.batch(3)
    parts = [*sampler.batch(3, 0, 2), *sampler.batch(3, 1, 2)]
    assert len(whole) == 4
    for one, other in zip(whole, parts, strict=True):
        assert torch.equal(one.sources.images(), other.sources.images())
    assert not torch.equal(whole[0].sources.images(), sampler.batch(4)[0].sources.images())
    with pytest.raises(ConfigError, match="cannot be cut into 3"):
        sampler.batch(0, 0, 3)


def test_all_samples_of_a_step_come_from_one_source() -> None:
    small, large = (ProceduralStream(("forward",), size=size, sources=2).item for size in (8, 12))
    sampler = SampleSampler([small, large], 2, seed=3, weights=[0.25, 0.75])
    sizes = [[sample.targets.cameras.common_size[0] for sample in sampler.batch(step)] for step in range(40)]
    assert all(len(set(step)) == 1 for step in sizes)
    assert 3 <= sum(step[0] == 8 for step in sizes) <= 18


def test_halved_samples_show_the_same_at_half_the_size(scene: Scene) -> None:
    sample = SceneSamples(scene.train, scene.bounds, sources=2).item(0)
    half = halved(sample)
    for whole, small in ((sample.sources, half.sources), (sample.targets, half.targets)):
        assert small.cameras.common_size == (8, 8)
        image, half_image = whole.image(0), small.image(0)
        torch.testing.assert_close(half_image[2, 3], image[4:6, 6:8].mean(dim=(0, 1)))
        assert torch.equal(small.depth(0), whole.depth(0)[::2, ::2])
        # A pixel's ray is the mean of those of the four it is made of.
        torch.testing.assert_close(
            small.cameras[0].rays().directions[0, 2, 3],
            whole.cameras[0].rays().directions[0, 4:6, 6:8].mean(dim=(0, 1)),
            atol=1e-5,
            rtol=0,
        )


@pytest.mark.parametrize("factor", [1.0, 1.5, 100.0])
def test_zoomed_samples_show_the_middle_as_it_was(scene: Scene, factor: float) -> None:
    sample = SceneSamples(scene.train, scene.bounds, sources=2).item(0)
    near = zoomed(sample, factor)
    side = max(1, round(16 / factor))
    middle = slice((16 - side) // 2, (16 - side) // 2 + side)
    for whole, part in ((sample.sources, near.sources), (sample.targets, near.targets)):
        assert part.cameras.common_size == (side, side)
        assert torch.equal(part.image(0), whole.image(0)[middle, middle])
        assert torch.equal(part.depth(0), whole.depth(0)[middle, middle])
        rays, all_rays = (each.cameras[0].rays().directions[0] for each in (part, whole))
        torch.testing.assert_close(rays, all_rays[middle, middle])


def lens(strength: float) -> Cameras:
    pose = torch.eye(4)[None, :3]
    camera = Cameras.pinhole(pose, torch.tensor([40.0, 40.0, 32.0, 24.0]), 64, 48)
    distortion = torch.zeros(1, 8)
    distortion[0, 0] = strength
    return Cameras(
        camera.camera_to_world, camera.intrinsics, camera.sizes, torch.tensor([int(Lens.OPENCV)]), distortion
    )


@pytest.mark.parametrize("strength", [-0.08, 0.08], ids=["barrel", "pincushion"])
def test_straightened_photographs_show_what_a_pinhole_camera_sees(strength: float) -> None:
    camera = lens(strength)

    def shown(rays: torch.Tensor) -> torch.Tensor:
        x, y = rays[..., 0] / rays[..., 2], rays[..., 1] / rays[..., 2]
        return torch.stack(
            [0.5 + 0.4 * torch.sin(4 * x), 0.5 + 0.4 * torch.cos(4 * y), 0.5 + 0.3 * x * y], -1
        )

    photograph = shown(camera.rays().directions)
    expected = shown(camera.undistorted().rays().directions)[0]
    found = straightened(Views.from_tensors(camera, photograph), 0)
    inner = (slice(6, -6), slice(6, -6))
    assert float((found - expected)[inner].abs().max()) < 5e-3
    assert float((photograph[0] - expected)[inner].abs().max()) > 2e-2


def test_what_a_lens_has_no_image_of_is_taken_from_nearby() -> None:
    # Seen from 33 degrees off its axis on, this lens folds.
    camera = replace(lens(-0.8), intrinsics=torch.tensor([[30.0, 30.0, 32.0, 24.0]]))
    assert not bool(camera.project(camera.undistorted().rays()[0].reshape(-1).directions)[0].isfinite().all())
    across = torch.linspace(0, 1, 64).expand(48, 64)[..., None].expand(-1, -1, 3)
    found = straightened(Views.from_tensors(camera, across[None].contiguous()), 0)[..., 0]
    # A ramp stays one up to the corners, where only the middle's grey would be otherwise.
    assert float(found[0, 0]) < 0.38
    assert float(found[0, -1]) > 0.62
    assert float(found.diff(dim=1).min()) > -0.1


def test_neighbours_of_a_view_with_a_lens_are_those_it_would_have_without() -> None:
    plain = make_scene("forward", 3, views=12, size=16, supersample=1)
    cameras = plain.train.cameras
    bent = torch.zeros(len(cameras), 8)
    bent[:, 0] = -0.3
    lenses = replace(
        cameras, lens=torch.full_like(cameras.lens, int(Lens.OPENCV)), distortion=bent.to(cameras.distortion)
    )
    views = Views.from_tensors(lenses, plain.train.images(), names=plain.train.names)
    one, other = (SceneSamples(each, plain.bounds, sources=4) for each in (plain.train, views))
    for i in range(6):
        assert one.item(i).sources.names == other.item(i).sources.names


def test_a_pinhole_photograph_stays_as_it_is(scene: Scene) -> None:
    assert torch.equal(straightened(scene.train, 0), scene.train.image(0))


def test_further_targets_are_neighbours_that_are_no_sources(scene: Scene) -> None:
    views = scene.train
    one, three = (SceneSamples(views, scene.bounds, sources=2, seed=5, targets=count) for count in (1, 3))
    for i in range(8):
        sample = three.item(i)
        assert sample.targets.names[0] == one.item(i).targets.names[0]
        assert len({*sample.targets.names, *sample.sources.names}) == 5
    few = SceneSamples(views[:3], scene.bounds, sources=2, targets=3).item(0)
    assert (len(few.sources), len(few.targets)) == (2, 1)

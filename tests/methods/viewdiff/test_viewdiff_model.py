"""Views out of words and views, and what is kept of a model."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from viewdiff_models import noise, shaken, small_config, with_multiview, write_stable_diffusion

from novelview.cameras.cameras import Cameras
from novelview.data.procedural.described_stream import described_scene
from novelview.errors import ConfigError
from novelview.generation import Request
from novelview.geometry.rigid import look_at
from novelview.methods.viewdiff.config import ViewDiffConfig
from novelview.methods.viewdiff.frame import middle_of, network_cameras, squared, to_network
from novelview.methods.viewdiff.model import ViewDiff
from novelview.random import Draws, generator_for
from novelview.types import Bounds, Sample, Views

BOUNDS = Bounds(
    near=2.0,
    far=6.0,
    box_min=(-1.0, -1.0, -0.5),
    box_max=(1.0, 1.0, 0.5),
    unbounded=False,
    background=(1.0,) * 3,
)


def model(config: ViewDiffConfig | None = None) -> ViewDiff:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = ViewDiff(config or small_config()).eval()
    shaken(made.network.unet)
    return made


def around(count: int, width: int = 32, height: int = 32) -> Cameras:
    angles = torch.arange(count) * 2 * math.pi / count
    centres = 4 * torch.stack([angles.cos(), angles.sin(), torch.full((count,), 0.5)], dim=-1)
    poses = look_at(centres, torch.zeros(count, 3), torch.tensor([0.0, 0.0, 1.0]).expand(count, 3))
    focal = 1.1 * max(width, height)
    return Cameras.pinhole(poses, torch.tensor([focal, focal, width / 2, height / 2]), width, height)


def given(count: int) -> Views:
    return Views.from_tensors(around(count), noise(count, 32, 32, 3, seed=4).sigmoid())


def test_a_seed_gives_the_same_views_and_another_others() -> None:
    made, cameras = model(), around(3)
    first, again, other = (made.generate(Request("a red box", cameras, seed=seed)).rgb for seed in (0, 0, 1))
    torch.testing.assert_close(first, again, rtol=0, atol=0)
    assert first.shape == (3, 32, 32, 3)
    assert float((first - other).abs().max()) > 0.01


def test_words_matter() -> None:
    made, cameras = model(small_config(guidance=3.0)), around(2)
    red, blue = (made.generate(Request(prompt, cameras)).rgb for prompt in ("a red box", "a blue torus"))
    assert float((red - blue).abs().max()) > 1e-3


@pytest.mark.parametrize("count", [1, 2])
def test_any_number_of_views_may_be_given(count: int) -> None:
    made, cameras = model(), around(3)
    alone = made.generate(Request("a red box", cameras)).rgb
    told = made.generate(Request("a red box", cameras, given(count))).rgb
    assert float((alone - told).abs().max()) > 1e-3


def test_more_views_than_fit_at_once_are_made_in_windows_and_watched() -> None:
    made, seen = model(small_config(at_once=3)), []
    frames = made.generate(
        Request("a red box", around(7)),
        lambda done, steps, show: seen.append((done, steps, show().rgb.shape[0])),
    )
    assert len(frames) == 7
    steps = seen[-1][1]
    assert [done for done, _, _ in seen] == list(range(1, steps + 1))
    assert steps == 3 * made.config.steps
    assert {count for _, _, count in seen} == {7}


def test_memory_saving_changes_nothing() -> None:
    made = model()
    thrifty = ViewDiff(replace(made.config, frames_at_once=1)).eval()
    thrifty.load_state_dict(made.state_dict())
    request = Request("a red box", around(3))
    torch.testing.assert_close(thrifty.generate(request).rgb, made.generate(request).rgb, rtol=0, atol=1e-4)


def test_bfloat16_is_near() -> None:
    made = model(with_multiview(small_config(), rays=True))
    rough = ViewDiff(replace(made.config, precision="bfloat16")).eval()
    rough.load_state_dict(made.state_dict())
    request = Request("a red box", around(2))
    difference = (rough.generate(request).rgb - made.generate(request).rgb).abs()
    assert 0 < float(difference.mean()) < 0.1


def test_views_of_other_shapes_are_the_middle_of_squares() -> None:
    made = model()
    frames = made.generate(Request("a red box", around(2, 40, 24)))
    assert frames.rgb.shape == (2, 24, 40, 3)


@pytest.mark.parametrize(("width", "height"), [(40, 24), (40, 25), (25, 40), (64, 43)])
def test_squared_cameras_and_the_middle_of_their_pictures_fit_together(width: int, height: int) -> None:
    cameras, side = around(2, width, height), max(width, height)
    square = squared(cameras, side)
    grid = torch.stack(torch.meshgrid(torch.arange(side), torch.arange(side), indexing="xy")).float() + 0.5
    seen = middle_of(torch.cat([grid, grid[:1]])[None], width, height)[0]
    points = torch.rand(20, 3) - 0.5
    there, _ = cameras[0].project(points)
    here, _ = square[0].project(points)
    corner = seen[0, 0, :2] - 0.5
    torch.testing.assert_close(here, there + corner, rtol=0, atol=1e-3)


def test_frames_of_a_capture_are_rendered_together() -> None:
    scene = described_scene("a red torus", views=6, size=32, test_every=3)
    made = model()
    state = made.condition(scene.train, scene.bounds)
    frame = made.one_by_one(state, scene.test.cameras)
    together = made.render(state, scene.test.cameras).rgb
    for i in range(len(scene.test)):
        torch.testing.assert_close(frame(i).rgb, together[i : i + 1], rtol=0, atol=0)


def test_views_that_cannot_be_cut_into_patches_are_refused() -> None:
    with pytest.raises(ConfigError, match="patches of 4"):
        small_config(size=30)


@pytest.mark.parametrize("turn", [0.0, 1.0])
def test_the_network_sees_the_subject_upside_down_in_its_box(turn: float) -> None:
    frame = to_network(BOUNDS, turn)
    corners = torch.tensor([[x, y, z] for x in (-1.0, 1.0) for y in (-1.0, 1.0) for z in (-0.5, 0.5)])
    moved = frame.points(corners)
    torch.testing.assert_close(moved[:, 2], -corners[:, 2])
    torch.testing.assert_close(moved.norm(dim=-1), corners.norm(dim=-1))
    assert float(torch.linalg.det(frame.rotation)) == pytest.approx(1.0)


def test_cameras_of_the_network_project_to_integer_centred_pixels() -> None:
    cameras, frame = around(3), to_network(BOUNDS, 0.7)
    group = network_cameras([cameras], [frame])
    points = torch.rand(10, 3) - 0.5
    expected, _ = cameras.project(points)
    moved = frame.points(points)
    local = torch.einsum("nij,pj->npi", group.poses[0, :, :3, :3], moved) + group.poses[0, :, None, :3, 3]
    image = torch.einsum("nij,npj->npi", group.intrinsics[0], local)
    torch.testing.assert_close(image[..., :2] / image[..., 2:] + 0.5, expected, rtol=0, atol=1e-3)


def test_a_capture_is_seen_from_elsewhere() -> None:
    scene = described_scene("a red torus", views=6, size=32, test_every=3)
    made = model(small_config(views=2))
    state = made.condition(scene.train, scene.bounds)
    assert state.latents.shape == (2, 48, 8, 8)
    assert made.render(state, scene.test.cameras).rgb.shape == (len(scene.test), 32, 32, 3)


def test_the_volume_renderer_learns_at_its_own_rate() -> None:
    made = model()
    groups = made.parameter_groups()
    assert [group.get("scale", 1.0) for group in groups] == [1.0, made.config.learn.renderer_rate]
    counted = sum(p.numel() for group in groups for p in group["params"])
    assert counted == sum(p.numel() for p in made.parameters())


@pytest.fixture(scope="module")
def diffusion(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("diffusion")
    write_stable_diffusion(folder)
    return folder


def test_a_text_to_image_model_in_a_folder_is_extended(diffusion: Path) -> None:
    base = small_config()
    config = with_multiview(base, placement=replace(base.multiview.placement, down=1, up=1))
    made = model(replace(config, base=str(diffusion), size=16))
    frames = made.generate(Request("abc", around(3)))
    assert frames.rgb.shape == (3, 32, 32, 3)
    names = set(made.state_dict())
    assert names
    assert all(name.startswith("network.unet.") for name in names)


def test_a_base_that_is_nowhere_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no folder 'unet'"):
        ViewDiff(small_config(base=str(tmp_path)))


@pytest.mark.gpu
def test_a_gpu_says_what_a_cpu_says_and_learns_in_bfloat16() -> None:
    made = model()
    request = Request("a red box", around(3))
    expected = made.generate(request).rgb
    torch.testing.assert_close(made.to("cuda").generate(request).rgb, expected, rtol=0, atol=2e-3)
    scene = described_scene("a red torus", views=5, size=32, test_every=0)
    batch = (Sample(scene.train[:4], scene.train[4:], scene.bounds, "a red torus"),)
    with torch.autocast("cuda", torch.bfloat16):
        loss = made.loss(batch, 0, Draws(generator_for(0, "gpu", device="cuda")))
    loss.total.backward()
    assert bool(loss.total.isfinite())
    assert all(bool(p.grad.isfinite().all()) for p in made.parameters() if p.grad is not None)

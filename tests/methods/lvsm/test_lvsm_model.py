"""LVSM as a method: frames that stand still, sizes, lenses, one view, training samples."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from novelview.cameras.cameras import Cameras
from novelview.data.procedural import ProceduralStream, make_scene
from novelview.data.scene import Scene
from novelview.errors import ConfigError, DataError, MissingDependencyError
from novelview.geometry.lenses import Lens
from novelview.geometry.rigid import Similarity, look_at, random_rotations
from novelview.methods.lvsm import LVSM, METHOD
from novelview.methods.lvsm.config import LVSMConfig
from novelview.methods.lvsm.frame import MARGIN, common_frame
from novelview.methods.lvsm.photographs import Canvas, fitted_size, photographs
from novelview.methods.recipe import Recipe
from novelview.random import Draws, generator_for
from novelview.training import load_method
from novelview.types import ImageSource, Sample, Views

TINY = METHOD.presets["tiny"]


@pytest.fixture(scope="module")
def scene() -> Scene:
    return make_scene("object", 3, views=8, size=24)


def method(**changes: Any) -> LVSM:
    """Weights large enough that cameras matter."""
    with torch.random.fork_rng():
        torch.manual_seed(2)
        found = LVSM(replace(TINY.config, **changes))
        for parameter in found.parameters():
            if parameter.dim() == 2:
                torch.nn.init.normal_(parameter, std=1.2 / parameter.shape[1] ** 0.5)
    return found.eval()


def moved(views: Views, motion: Similarity) -> Views:
    return views.with_cameras(views.cameras.moved(motion))


def a_motion() -> Similarity:
    turn = random_rotations(1, torch.Generator().manual_seed(1))[0]
    return Similarity(1.0, turn, torch.tensor([2.0, -1.0, 0.5]))


def test_the_frame_is_that_of_the_paper(scene: Scene) -> None:
    cameras = scene.train.cameras
    found = cameras.moved(common_frame(cameras, 1.0))
    assert float(found.centres.abs().max()) == pytest.approx(1 / MARGIN, abs=1e-6)
    torch.testing.assert_close(found.centres.mean(dim=0), torch.zeros(3), atol=1e-6, rtol=0)
    forward = found.forward.mean(dim=0)
    torch.testing.assert_close(forward / forward.norm(), torch.tensor([0.0, 0, 1]), atol=1e-5, rtol=0)
    # The mean down lies in the plane of forward and down, on down's side.
    down = found.rotations[:, :, 1].mean(dim=0)
    assert float(down[0].abs()) < 1e-5
    assert float(down[1]) > 0


def test_one_camera_or_several_in_one_place_have_a_frame(scene: Scene) -> None:
    one = scene.train.cameras[[0]]
    for cameras in (one, scene.train.cameras[[0, 0, 0]]):
        found = cameras.moved(common_frame(cameras, 2.0))
        assert bool(found.camera_to_world.isfinite().all())
        torch.testing.assert_close(found.centres, torch.zeros(len(cameras), 3), atol=1e-6, rtol=0)
    assert common_frame(one, 2.0).scale == pytest.approx(1 / (2 * MARGIN))


def test_cameras_that_look_apart_have_a_frame() -> None:
    centres = torch.tensor([[1.0, 0, 0], [-1, 0, 0]])
    up = torch.tensor([0.0, 0, 1]).expand(2, 3)
    cameras = Cameras.pinhole(look_at(centres, 2 * centres, up), torch.tensor([8.0, 8, 8, 8]), 16, 16)
    frame = common_frame(cameras, 1.0)
    assert float(torch.linalg.det(frame.rotation)) == pytest.approx(1.0, abs=1e-5)
    torch.testing.assert_close(frame.rotation @ frame.rotation.T, torch.eye(3), atol=1e-5, rtol=0)


def test_by_depth_the_number_of_cameras_does_not_change_the_unit(scene: Scene) -> None:
    cameras, depth = scene.train.cameras, scene.bounds.middle_depth
    scales = {common_frame(cameras[: n + 1], depth, by_depth=True).scale for n in range(4)}
    assert len(scales) == 1
    assert common_frame(cameras[:2], depth).scale != common_frame(cameras[:3], depth).scale


def test_nothing_depends_on_the_users_frame(scene: Scene) -> None:
    for changes in ({}, {"positions": "rays"}, {"frame": "all"}, {"architecture": "decoder-only"}):
        model, motion = method(**changes), a_motion()
        here = model.render(model.condition(scene.train, scene.bounds), scene.test.cameras).rgb
        state = model.condition(moved(scene.train, motion), scene.bounds)
        there = model.render(state, scene.test.cameras.moved(motion)).rgb
        torch.testing.assert_close(there, here, atol=2e-4, rtol=0)


def test_the_frame_of_inputs_stands_still_and_that_of_all_does_not(scene: Scene) -> None:
    first, both = scene.train.cameras[[5]], scene.train.cameras[[5, 6]]
    known = scene.train[[0, 1, 2]]
    for frame in ("inputs", "all"):
        model = method(frame=frame, positions="rays")
        state = model.condition(known, scene.bounds)
        alone, together = (model.render(state, cameras).rgb[0] for cameras in (first, both))
        assert (float((alone - together).abs().max()) < 1e-5) == (frame == "inputs")
        assert (state.frame is None) == (frame == "all")


def test_in_the_world_frame_cameras_are_taken_as_they_are(scene: Scene) -> None:
    model, motion = method(frame="world", positions="rays"), a_motion()
    state = model.condition(scene.train, scene.bounds)
    assert state.frame is not None
    assert state.frame.scale == 1
    there = model.condition(moved(scene.train, motion), scene.bounds)
    frames = [
        model.render(s, c).rgb
        for s, c in ((state, scene.test.cameras), (there, scene.test.cameras.moved(motion)))
    ]
    assert float((frames[0] - frames[1]).abs().max()) > 1e-2


def test_a_camera_of_whole_patches_is_shown_as_the_network_shows_it(scene: Scene) -> None:
    exact = Canvas.of(scene.test.cameras[0], 0, 4)
    assert exact.exact
    assert exact.camera.common_size == (24, 24)
    image = torch.rand(3, 24, 24)
    assert torch.equal(exact.seen(image), image.permute(1, 2, 0))


@pytest.mark.parametrize("size", [(24, 24), (50, 31), (7, 90), (16, 16)])
@pytest.mark.parametrize("distorted", [False, True])
def test_any_size_and_lens_is_rendered(scene: Scene, size: tuple[int, int], distorted: bool) -> None:
    camera = scene.test.cameras[[0]].resized(*size)
    if distorted:
        strength = torch.tensor([[-0.1, 0, 0, 0, 0, 0, 0, 0]])
        camera = replace(camera, lens=torch.tensor([int(Lens.OPENCV)]), distortion=strength)
    model = method()
    frames = model.render(model.condition(scene.train, scene.bounds), camera)
    assert frames.rgb.shape == (1, size[1], size[0], 3)
    assert bool(((frames.rgb >= 0) & (frames.rgb <= 1)).all())


def test_a_canvas_shows_what_the_camera_sees() -> None:
    """A picture that is linear on the canvas is the same picture in the camera's pixels."""
    camera = Cameras.pinhole(torch.eye(4)[None], torch.tensor([30.0, 30, 25, 15.5]), 50, 31)
    canvas = Canvas.of(camera, 24, 4)
    assert canvas.camera.common_size == (40, 24)
    grid = canvas.camera.pixel_grid() / torch.tensor([40.0, 24.0])
    picture = torch.cat([0.2 + 0.5 * grid, 0.3 * grid[..., :1]], dim=-1)
    found = canvas.seen(picture.permute(2, 0, 1))
    there = camera.pixel_grid() / torch.tensor([50.0, 31.0])
    expected = torch.cat([0.2 + 0.5 * there, 0.3 * there[..., :1]], dim=-1)
    torch.testing.assert_close(found[3:-3, 3:-3], expected[3:-3, 3:-3], atol=2e-3, rtol=0)


def test_photographs_come_in_whole_patches_with_cameras_that_fit(scene: Scene) -> None:
    images, cameras = photographs(scene.train, 16, 4)
    assert images.shape == (len(scene.train), 3, 16, 16)
    assert cameras.common_size == (16, 16)
    torch.testing.assert_close(cameras.intrinsics, scene.train.cameras.intrinsics * 16 / 24)
    assert torch.equal(photographs(scene.train, 0, 4)[0], scene.train.images().permute(0, 3, 1, 2))
    assert fitted_size(scene.train.cameras[0], 0, 8) == (24, 24)
    assert fitted_size(scene.train.cameras[0], 100, 8) == (24, 24)


def test_of_photographs_of_another_shape_the_middle_is_taken(scene: Scene) -> None:
    wide = make_scene("object", 4, views=2, size=24).train
    tall = wide.cameras[0].cropped(6, 0, 12, 24)
    both = Cameras.concatenate([scene.train.cameras[[0]], tall])
    images = [scene.train.image(0), wide.image(0)[:, 6:18]]
    source = _Images(images)
    views = Views(both, ("square", "tall"), source, (0, 1))
    found, cameras = photographs(views, 0, 4)
    assert found.shape == (2, 3, 24, 24)
    # A point in the middle of the tall image stays in the middle.
    torch.testing.assert_close(cameras.intrinsics[1, 2:], torch.tensor([12.0, 12.0]))
    torch.testing.assert_close(cameras.intrinsics[1, :2], 2 * tall.intrinsics[0, :2])


class _Images(ImageSource):
    """Of several sizes."""

    def __init__(self, images: list[Tensor]) -> None:
        self._images = images

    def image(self, index: int) -> Float[Tensor, "h w 3"]:
        return self._images[index]


def test_one_photograph_is_enough(scene: Scene) -> None:
    for architecture in ("decoder-only", "encoder-decoder", "cached"):
        positions = "rays" if architecture == "encoder-decoder" else "both"
        model = method(architecture=architecture, positions=positions, latents=6)
        state = model.condition(scene.train[[0]], scene.bounds)
        assert bool(model.render(state, scene.test.cameras).rgb.isfinite().all())


def test_of_many_photographs_some_are_taken(scene: Scene) -> None:
    model = method(views=3)
    state = model.condition(scene.train, scene.bounds)
    assert len(state.names) == 3
    assert set(state.names) <= set(scene.train.names)
    told = model.explain(state, scene.test.cameras[[0]])
    assert [view["view"] for view in told["views"]] == list(state.names)
    assert told["frame"]["scale"] > 0


def batch(config: LVSMConfig, scene: Scene, **recipe: Any) -> tuple[Sample, ...]:
    found = METHOD.sampler([scene], config, Recipe(steps=4, batch=2, **recipe), 0).batch(0)
    assert isinstance(found, tuple)
    return found


def test_samples_are_endless_procedural_ones_where_the_scene_is(scene: Scene) -> None:
    config = replace(TINY.config, sources=3, targets=4, train_size=32, half_resolution=0.5)
    sampler = METHOD.sampler([scene], config, Recipe(steps=4, batch=2), 0)
    sizes = [
        {v.cameras.common_size for s in sampler.batch(i) for v in (s.sources, s.targets)} for i in (0, 3)
    ]
    assert sizes == [{(16, 16)}, {(32, 32)}]
    assert {(len(s.sources), len(s.targets)) for s in batch(config, scene)} == {(3, 4)}


def test_samples_of_captures_are_squares_of_the_training_size(scene: Scene) -> None:
    capture = replace(scene, origin={})
    for video in (False, True):
        config = replace(TINY.config, train_size=16, video=video, shortest_gap=3, longest_gap=6)
        config = replace(config, sources=2, targets=3)
        for sample in batch(config, capture):
            assert sample.sources.cameras.common_size == (16, 16)
            assert (len(sample.sources), len(sample.targets)) == (2, 3)


def test_a_capture_with_too_few_views_is_named(scene: Scene) -> None:
    with pytest.raises(DataError, match="too small to learn from"):
        METHOD.sampler([replace(scene, origin={})], replace(TINY.config, targets=20), TINY.recipe, 0)


def test_steps_have_from_the_fewest_sources_to_all(scene: Scene) -> None:
    model, counts = method(fewest_sources=1, sources=3, targets=1), set()
    samples = batch(model.config, scene)
    encode = model.network.encode

    def counted(inputs: Any) -> Any:
        counts.add(inputs.count)
        return encode(inputs)

    model.network.encode = counted
    for step in range(12):
        model.loss(samples, step, Draws(generator_for(0, "x", step), 0, 1))
    assert counts == {1, 2, 3}


def test_views_of_different_sizes_in_a_step_are_refused(scene: Scene) -> None:
    one, other = batch(TINY.config, scene), batch(replace(TINY.config, train_size=32), scene)
    with pytest.raises(ConfigError, match="differ in size"):
        method().loss((one[0], other[0]), 0, Draws(generator_for(0), 0, 1))


def test_the_loss_is_the_squared_error_and_what_is_asked_for(scene: Scene) -> None:
    samples, draws = batch(TINY.config, scene), Draws(generator_for(0), 0, 1)
    plain, more = (method(gradient_loss=weight).loss(samples, 0, draws) for weight in (0.0, 0.5))
    torch.testing.assert_close(plain.total.detach(), plain.parts["mse"])
    torch.testing.assert_close(more.total.detach(), more.parts["mse"] + 0.5 * more.parts["gradient"])


def test_missing_weights_of_the_perceptual_loss_are_missed_before_training(
    scene: Scene, tmp_path: Path
) -> None:
    config = replace(TINY.config, vgg=str(tmp_path / "vgg19.pth"))
    with pytest.raises(MissingDependencyError, match="VGG-19"):
        METHOD.sampler([scene], config, TINY.recipe, 0)


@pytest.mark.parametrize(
    "changes",
    [
        {"width": 30},
        {"head_width": 12, "width": 24},
        {"architecture": "encoder-decoder", "positions": "both"},
        {"architecture": "cached", "encoder_layers": 9},
        {"train_size": 18},
        {"train_size": 20, "half_resolution": 0.5, "patch": 4},
        {"views": 0},
        {"curriculum": 2.0},
        {"gradient_loss": -1.0},
    ],
)
def test_options_that_cannot_work_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        replace(TINY.config, **changes)


def test_norms_do_not_decay() -> None:
    model = method(architecture="encoder-decoder", positions="rays", latents=6)
    decaying, others = model.parameter_groups()
    assert others["weight_decay"] == 0
    assert "weight_decay" not in decaying
    named = {id(p): name for name, p in model.named_parameters()}
    assert all("norm" in named[id(p)] or "image_token_decoder.0" in named[id(p)] for p in others["params"])
    assert any("n_light_field_latent" in named[id(p)] for p in decaying["params"])


def test_the_weights_that_come_along_score_what_their_card_says(
    benchmark: Callable[[str], ModuleType],
) -> None:
    assert METHOD.weights is not None
    card = json.loads((METHOD.weights.parent / "card.json").read_text())
    model, _ = load_method("lvsm")
    assert sum(p.numel() for p in model.parameters()) == card["parameters"]
    scores = benchmark("scoring")
    stream = ProceduralStream(("object",), seed=1_500_000, size=96, sources=4)
    found, _ = scores.over_samples(partial(scores.rendered, model), stream, 24)
    assert found == pytest.approx(card["scores"]["object"]["psnr"], abs=0.02)
    nearest, _ = scores.over_samples(partial(scores.swept, "nearest-view"), stream, 24)
    assert found > nearest + 1


def test_half_precision_is_for_rendering_and_changes_little(scene: Scene) -> None:
    exact, half = method(), method(precision="bfloat16")
    frames: list[Tensor] = [
        m.render(m.condition(scene.train, scene.bounds), scene.test.cameras).rgb for m in (exact, half)
    ]
    assert frames[1].dtype == torch.float32
    assert 0 < float((frames[0] - frames[1]).abs().mean()) < 0.02

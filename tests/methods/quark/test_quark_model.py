"""Quark as a method: which photographs it looks at, distorted targets, windows, and that it learns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from novelview.cameras import Cameras
from novelview.data.pinholes import covering
from novelview.data.procedural import ProceduralStream, make_scene
from novelview.data.scene import Scene
from novelview.errors import MissingDependencyError
from novelview.geometry.lenses import Lens
from novelview.methods.quark import METHOD, Quark
from novelview.methods.quark.examples import examples
from novelview.methods.quark.losses import disparity_error, lpips_error
from novelview.nn.lpips import LPIPS
from novelview.random import Draws, generator_for
from novelview.training import fit
from novelview.training.run import load_method
from novelview.types import Views

TINY = METHOD.presets["tiny"]


@pytest.fixture(scope="module")
def scene() -> Scene:
    return make_scene("forward", 3, views=10, size=24, supersample=1)


def method(**changes: object) -> Quark:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Quark(replace(TINY.config, **changes)).eval()  # type: ignore[arg-type]


def draws() -> Draws:
    return Draws(generator_for(0, "draws"), 0, 1)


def with_lens(camera: Cameras, strength: float) -> Cameras:
    distortion = torch.zeros(1, 8)
    distortion[0, 0] = strength
    return replace(camera, lens=torch.tensor([int(Lens.OPENCV)]), distortion=distortion)


def test_the_layers_of_a_pinhole_target_fill_just_its_image(scene: Scene) -> None:
    camera = scene.test.cameras[0]
    wide, xy = covering(camera)
    assert wide.common_size == camera.common_size
    torch.testing.assert_close(xy * 24, camera.pixel_grid(), atol=1e-3, rtol=0)


@pytest.mark.parametrize("strength", [-0.2, 0.2], ids=["barrel", "pincushion"])
def test_the_layers_of_a_distorted_target_hold_all_it_sees(scene: Scene, strength: float) -> None:
    camera = with_lens(scene.test.cameras[0], strength)
    wide, xy = covering(camera)
    assert bool(((xy > 0) & (xy < 1)).all())
    size = torch.tensor([float(side) for side in wide.common_size])
    rays = wide.rays_through((xy * size).reshape(1, -1, 2))
    torch.testing.assert_close(
        rays.directions[0], camera.rays()[0].reshape(-1).directions, atol=1e-4, rtol=1e-4
    )


@pytest.mark.parametrize(("lens", "strength"), [(Lens.OPENCV, -0.3), (Lens.FISHEYE, 0.0)])
def test_targets_that_see_as_much_as_a_fisheye_are_rendered(
    scene: Scene, lens: Lens, strength: float
) -> None:
    camera = with_lens(scene.test.cameras[:1], strength)
    camera = replace(
        camera,
        lens=torch.full_like(camera.lens, int(lens)),
        intrinsics=camera.intrinsics * torch.tensor([0.3, 0.3, 1, 1]),
    )
    wide, xy = covering(camera)
    assert max(wide.common_size) < 10 * max(camera.common_size)
    assert float(xy.min()) >= 0
    assert float(xy.max()) <= 1
    quark = method()
    shown = quark.render(quark.condition(scene.train, scene.bounds), camera).rgb
    assert bool(shown.isfinite().all())


def test_layers_are_the_same_picture_without_the_network(scene: Scene) -> None:
    quark = method()
    state, camera = quark.condition(scene.train, scene.bounds), scene.test.cameras[:1]
    frames, again = quark.render(state, camera), quark.layers(state, camera).render(camera)
    # The renderer leaves out what does not show.
    torch.testing.assert_close(again.rgb, frames.rgb, atol=2 / 255, rtol=0)
    torch.testing.assert_close(again.depth, frames.depth, atol=0, rtol=1e-2)


def test_it_says_which_photographs_it_looked_at(scene: Scene) -> None:
    quark = method(views=3)
    state, camera = quark.condition(scene.train, scene.bounds), scene.test.cameras[0]
    facts = quark.explain(state, camera)
    said = facts["views"]
    assert 0 < facts["seen by any"] <= 1
    assert len(said) == 3
    assert {each["view"] for each in said} <= set(scene.train.names)
    assert [each["score"] for each in said] == sorted((each["score"] for each in said), reverse=True)
    # Nothing else is looked at.
    others = [i for i, name in enumerate(scene.train.names) if name not in {each["view"] for each in said}]
    blank = replace(
        state,
        images=tuple(image * 0 if i in others else image for i, image in enumerate(state.images)),
    )
    assert torch.equal(quark.render(blank, camera).rgb, quark.render(state, camera).rgb)


def test_half_precision_changes_little(scene: Scene) -> None:
    whole, half = method(), method(precision="bfloat16")
    state = whole.condition(scene.train, scene.bounds)
    one, other = (each.render(state, scene.test.cameras[:1]).rgb for each in (whole, half))
    assert 0 < float((one - other).abs().max()) < 0.1


def test_exposure_is_levelled_where_asked(scene: Scene) -> None:
    gains = torch.linspace(0.7, 1.3, len(scene.train))[:, None, None, None]
    camera = scene.test.cameras[:1]

    def shown(quark: Quark, brightness: torch.Tensor) -> torch.Tensor:
        images = 0.6 * brightness * scene.train.images()
        state = quark.condition(Views.from_tensors(scene.train.cameras, images), scene.bounds)
        return quark.render(state, camera).rgb

    wanted = shown(method(), torch.ones_like(gains))
    plain, mended = shown(method(), gains), shown(method(exposure=True), gains)

    def apart(found: torch.Tensor) -> float:
        # Which of the exposures is taken is nobody's to say.
        return float((found / found.mean() - wanted / wanted.mean()).abs().mean())

    assert apart(mended) < 0.6 * apart(plain)


def test_the_coarse_part_of_a_training_sees_half_the_size() -> None:
    config = replace(TINY.config, half_resolution=0.5, size=32, views=3)
    recipe = replace(TINY.recipe, steps=10, batch=1)
    sampler = METHOD.sampler([make_scene("forward", 1, views=6, size=8)], config, recipe, 0)
    sizes = [sampler.batch(step)[0].sources.cameras.common_size for step in (0, 4, 5, 9)]
    assert sizes == [(16, 16), (16, 16), (32, 32), (32, 32)]
    quark = method(half_resolution=0.5)
    coarse = []
    for step in (4, 5):
        quark.advance(step, 10)
        quark.network.encoder.register_forward_pre_hook(
            lambda _, inputs: coarse.append(inputs[0].shape[-1]),
        )
        quark.loss(sampler.batch(step), step, draws())
    assert coarse[1] == 2 * coarse[0]


def test_training_draws_numbers_of_views_weights_and_exposures() -> None:
    samples = (ProceduralStream(("forward",), size=16, sources=4).item(0),) * 2
    config = replace(TINY.config, fewest_views=2, exposure_jitter=0.1, fade=0.5)
    counts, weights, ratios = set(), [], []
    for seed in range(24):
        made = examples(samples, config, 1, Draws(generator_for(seed), 0, 1), torch.zeros(1))
        counts.add(made.images.shape[1])
        assert made.rig.weights.amax(dim=1).tolist() == [1, 1]
        assert float(made.rig.weights.min()) > 0
        weights += made.rig.weights.amin(dim=1).tolist()
        source = samples[0].sources.image(0).permute(2, 0, 1)
        ratios.append(float(made.images[0, 0].mean() / source.mean()))
    assert counts == {2, 3, 4}
    assert 0.25 < sum(weight < 1 for weight in weights) / len(weights) < 0.75
    assert 0.9 <= min(ratios) < 0.97
    assert 1.03 < max(ratios) <= 1.1


def test_targets_of_different_sizes_are_learnt_from_in_one_batch() -> None:
    samples = tuple(ProceduralStream(("forward",), size=size, sources=3).item(0) for size in (16, 24))
    made = examples(samples, TINY.config, 1, draws(), torch.zeros(1))
    assert made.truth.rgb.shape == (2, 3, 16, 16)
    assert made.images.shape == (2, 3, 3, 16, 16)


def test_captures_and_procedural_scenes_take_turns(scene: Scene) -> None:
    captured = replace(scene, origin={})
    config, recipe = replace(TINY.config, procedural=0.5, size=16, views=3), replace(TINY.recipe, batch=1)
    sampler = METHOD.sampler([captured, captured], config, recipe, 0)
    sizes = [sampler.batch(step)[0].targets.cameras.common_size[0] for step in range(24)]
    assert 4 < sizes.count(16) < 20
    assert sizes.count(16) + sizes.count(24) == 24


def test_lenses_of_captures_are_longer_by_chance() -> None:
    captured = replace(make_scene("forward", 3, views=9, size=32, supersample=1), origin={})
    recipe = METHOD.preset("tiny").recipe

    def sides(jitter: float) -> set[int]:
        sampler = METHOD.sampler([captured], method(focal_jitter=jitter).config, recipe, 0)
        batches = [sampler.batch(step) for step in range(6)]
        return {sample.targets.cameras.common_size[0] for batch in batches for sample in batch}

    assert sides(0.0) == {32}
    longer = sides(0.5)
    assert len(longer) > 3
    assert min(longer) >= 21
    assert max(longer) <= 32


def test_depth_lies_between_near_and_far(scene: Scene) -> None:
    quark = method()
    depth = quark.render(quark.condition(scene.train, scene.bounds), scene.test.cameras[:1]).depth
    assert depth is not None
    assert float(depth.min()) >= scene.bounds.near * 0.999
    assert float(depth.max()) <= scene.bounds.far * 1.001


def test_a_window_is_a_part_of_the_whole_loss() -> None:
    samples = (ProceduralStream(("forward",), size=24, sources=3).item(0),)
    found = [method(crop=crop).loss(samples, 0, draws()).parts["mse"] for crop in (0, 8, 24)]
    torch.testing.assert_close(found[0], found[2])
    assert not torch.allclose(found[0], found[1])


def test_depth_is_learnt_from_where_there_is_any() -> None:
    samples = (ProceduralStream(("forward",), size=24, sources=3).item(0),)
    without, having = (method(depth_loss=weight).loss(samples, 0, draws()) for weight in (0.0, 2.0))
    assert "disparity" not in without.parts
    expected = without.total + 2 * having.parts["disparity"]
    torch.testing.assert_close(having.total, expected)


def vgg_files(folder: Path) -> dict[str, str]:
    """Files of LPIPS's weights, all small numbers."""
    network, generator = LPIPS("vgg"), generator_for(0, "vgg")
    trunk = {
        f"features.{index}.{name}": 0.1 * torch.randn(value.shape, generator=generator)
        for index, layer in network.features.named_children()
        for name, value in layer.named_parameters()
    }
    linear = {f"lin{i}.model.1.weight": torch.ones(len(each)) for i, each in enumerate(network.weights)}
    save_file(trunk, folder / "trunk.safetensors")
    save_file(linear, folder / "linear.safetensors")
    return {
        each: str(folder / f"{each.removeprefix('lpips_')}.safetensors")
        for each in ("lpips_trunk", "lpips_linear")
    }


def test_the_published_loss_is_taken_where_its_weights_are_given(tmp_path: Path) -> None:
    model, batch = (
        method(**vgg_files(tmp_path)),
        METHOD.sampler([], method().config, METHOD.preset("tiny").recipe, 0),
    )
    found = model.loss(batch.batch(0), 0, draws())
    assert set(found.parts) == {"l1", "lpips", "mse"}
    assert float(found.parts["lpips"]) > 0
    torch.testing.assert_close(found.total.detach(), 10 * found.parts["l1"] + found.parts["lpips"])
    found.total.backward()
    gradients = [each.grad for each in model.parameters() if each.grad is not None]
    assert all(bool(each.isfinite().all()) for each in gradients)
    assert not any("lpips" in name for name in model.state_dict())


def test_missing_weights_of_the_loss_are_missed_before_training() -> None:
    with pytest.raises(MissingDependencyError, match="no such file"):
        METHOD.sampler([], method(lpips_trunk="gone.pth").config, METHOD.preset("tiny").recipe, 0)


def test_what_no_feature_sees_has_a_gradient_under_lpips() -> None:
    network = LPIPS("vgg")
    for parameter in network.features.parameters():
        torch.nn.init.constant_(parameter, -1.0)
    shown = torch.rand(1, 3, 32, 32, requires_grad=True)
    lpips_error(network, shown, torch.rand(1, 3, 32, 32)).backward()
    assert shown.grad is not None
    assert bool(shown.grad.isfinite().all())


def test_disparity_error_counts_only_what_is_known() -> None:
    found, wanted = torch.tensor([[[0.5, 0.3]]]), torch.tensor([[[0.4, 0.0]]])
    assert float(disparity_error(found, wanted, torch.tensor([2.0]))) == pytest.approx(0.05)


def test_the_weights_that_come_along_are_tuned_to_a_capture() -> None:
    """Photographs of the capture alone are learnt from, and what is not asked to change fits the bundled weights."""
    preset, made = METHOD.preset("tune"), make_scene("forward", 3, views=8, size=48)
    capture = replace(made, origin={})
    config = replace(preset.config, crop=32)
    recipe = replace(preset.recipe, steps=3, warmup_steps=0)
    before, _ = load_method("quark", adjust={"views": config.views})
    after = fit(METHOD, capture, config=config, recipe=recipe, start="quark", quiet=True)
    frames = [
        each.render(each.condition(capture.train, capture.bounds), capture.test.cameras[0]).rgb
        for each in (before, after)
    ]
    change = (frames[0] - frames[1]).abs()
    assert 1e-4 < float(change.mean()) < 0.05

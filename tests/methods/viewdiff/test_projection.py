"""The projection layer does what is asked of it: consistent geometry, gradients, bounded work."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from projection_scenes import CHANNELS, TIME, inputs, ring, seen, small_layer
from torch import Tensor

from novelview.errors import ConfigError
from novelview.methods.viewdiff.projection import lattice
from novelview.methods.viewdiff.projection.cameras import GroupCameras
from novelview.methods.viewdiff.projection.config import ProjectionConfig
from novelview.methods.viewdiff.projection.layer import ProjectionLayer
from novelview.methods.viewdiff.projection.renderer import VolumeRenderer

WIDE = {"middle": (0.6, -0.3, 0.2), "half": 0.7, "size": (320, 256)}
FINE = (24, 30)
# In half sides of the box, from its middle: within, and far outside, where coordinates of either sign are the largest.
PLACES = [(0.3, -0.6, 0.5), (0.2, 1.4, -0.3), (0.2, -1.6, 0.3), (-2.2, 0.4, -0.5)]


def spots(
    cameras: GroupCameras, place: tuple[float, float, float], size: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Pictures of a small bright spot at a place of the first group's space, and the pixel of its centre in each frame."""
    height, width = size
    middle, half = cameras.box[0].mean(dim=0), (cameras.box[0, 1] - cameras.box[0, 0]).amax() / 2
    frames = cameras.group(0).resized(width, height)
    pixels = frames.project((middle + half * torch.tensor(place))[None])[0]
    far = (frames.pixel_grid()[None] - pixels[:, :, None]).square().sum(dim=-1)
    return torch.exp(-far / 4)[None, :, None], pixels[:, 0]


def arc() -> GroupCameras:
    """Five cameras that see much the same of a box that is not around the origin, the last one amid the others."""
    cameras, order = ring(5, arc=1.2, **WIDE), [0, 1, 3, 4, 2]
    return GroupCameras(
        cameras.poses[:, order], cameras.intrinsics, cameras.width, cameras.height, cameras.box
    )


def plain_layer(**options: object) -> ProjectionLayer:
    """A layer without learnt parts: dense and bright where most frames that feed the grid are bright."""
    config = ProjectionConfig(
        latent=2, layers=0, compress="single", expand="single", aggregator="mean", samples=96, **options
    )
    layer = ProjectionLayer(1, TIME, 40, config)
    renderer = layer.volume_renderer
    with torch.no_grad():
        for value in layer.parameters():
            value.zero_()
        layer.proj_in_2d.weight[0] = 1
        renderer.mlp_weights[:, 0, 0] = 1
        renderer.weight_opacity[0], renderer.bias_opacity[0] = 60.0, -40.0
    return layer


def miss(place: tuple[float, float, float], **options: object) -> float:
    """Pixels between where a frame that fed nothing sees a spot, and where it should."""
    layer, cameras = plain_layer(**options), arc()
    pictures, pixels = spots(cameras, place, FINE)
    time = torch.zeros(1, 5, TIME)
    shown = seen(layer, cameras, [pictures, torch.zeros(1, 5).long(), time], left_out=1).opacity[0, -1]
    assert shown.max() > 0.1
    peak = shown.flatten().argmax()
    found = torch.stack([peak % FINE[1], peak // FINE[1]]) + 0.5
    return float((found - pixels[-1]).norm())


@pytest.mark.parametrize("place", PLACES)
def test_a_spot_is_rendered_where_it_is_seen(place: tuple[float, float, float]) -> None:
    assert miss(place) < 0.8


def test_a_spot_within_the_box_is_rendered_where_it_is_seen_without_a_background() -> None:
    assert miss(PLACES[0], background=False) < 0.8


def test_a_spot_is_rendered_where_it_is_seen_whatever_share_the_background_has() -> None:
    assert max(miss(place, background_share=0.35) for place in PLACES[:3]) < 0.8


def test_with_the_authors_axes_it_is_rendered_elsewhere() -> None:
    assert miss(PLACES[0], official_axes=True) > 3


def test_with_the_authors_contraction_it_is_rendered_elsewhere_where_the_largest_coordinate_is_negative() -> (
    None
):
    assert miss(PLACES[1], official_contraction=True) < 0.8
    assert miss(PLACES[2], official_contraction=True) > 1.5


def test_depth_is_that_of_the_spot() -> None:
    layer, cameras = plain_layer(), arc()
    pictures, pixels = spots(cameras, PLACES[0], FINE)
    found = seen(layer, cameras, [pictures, torch.zeros(1, 5).long(), torch.zeros(1, 5, TIME)])
    x, y = pixels[0].long().tolist()
    half = WIDE["half"]
    point = torch.tensor(WIDE["middle"]) + half * torch.tensor(PLACES[0])
    true = cameras.group(0).project(point[None])[1][0, 0] / half
    torch.testing.assert_close(found.depth[0, 0, y, x] / found.opacity[0, 0, y, x], true, rtol=0.07, atol=0)


def test_the_order_of_frames_but_the_last_does_not_matter(generator: torch.Generator) -> None:
    cameras, layer = ring(4, groups=2), small_layer()
    values = inputs(cameras, generator)
    order = [2, 0, 1, 3]
    turned = GroupCameras(cameras.poses[:, order], cameras.intrinsics[:, order], 256, 256, cameras.box)
    found = seen(layer, turned, [value[:, order] for value in values])
    expected = seen(layer, cameras, values)
    torch.testing.assert_close(found.features, expected.features[:, order])
    torch.testing.assert_close(found.depth, expected.depth[:, order])


def test_groups_do_not_see_one_another(generator: torch.Generator) -> None:
    cameras, layer = ring(3, groups=3), small_layer()
    values = inputs(cameras, generator)
    together = seen(layer, cameras, values).features
    second = GroupCameras(cameras.poses[1:2], cameras.intrinsics[1:2], 256, 256, cameras.box[1:2])
    alone = seen(layer, second, [value[1:2] for value in values]).features
    torch.testing.assert_close(together[1:2], alone)


def test_frames_that_are_left_out_tell_the_others_nothing(generator: torch.Generator) -> None:
    cameras, layer = ring(3), small_layer()
    features, *told = inputs(cameras, generator)
    before = seen(layer, cameras, [features, *told], left_out=1).features
    features[:, 2] = 100.0
    assert torch.equal(seen(layer, cameras, [features, *told], left_out=1).features, before)


def test_they_are_told_by_the_others(generator: torch.Generator) -> None:
    cameras, layer = ring(3), small_layer()
    features, *told = inputs(cameras, generator)
    before = seen(layer, cameras, [features, *told], left_out=1).features
    features[:, 0] = -features[:, 0]
    assert (seen(layer, cameras, [features, *told], left_out=1).features - before)[:, 2].abs().max() > 1e-3


def test_a_frame_has_to_feed_the_grid(generator: torch.Generator) -> None:
    cameras = ring(2)
    with pytest.raises(ConfigError, match="No frame of 2"):
        seen(small_layer(), cameras, inputs(cameras, generator), left_out=2)


def test_work_in_pieces_changes_nothing(generator: torch.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    layer, values = small_layer(), inputs(ring(3, groups=2), generator)
    noise = torch.randn(2, 3, 5, 5, 16, generator=generator)
    whole = _gradients(layer, ring(3, groups=2), values, noise)
    monkeypatch.setitem(lattice.SAMPLES_AT_ONCE, "cpu", 50)
    pieces = _gradients(layer, ring(3, groups=2), values, noise)
    torch.testing.assert_close(pieces, whole)


@pytest.mark.parametrize("aggregator", ["ibrnet", "mean"])
@pytest.mark.parametrize("at_once", [1, 2, 5, 9])
def test_a_few_frames_at_a_time_give_the_same(
    generator: torch.Generator, aggregator: str, at_once: int
) -> None:
    cameras, layer = ring(4, groups=2), small_layer(aggregator=aggregator)
    values = inputs(cameras, generator)
    whole = seen(layer, cameras, values, left_out=1)
    parts = seen(layer, cameras, values, left_out=1, frames_at_once=at_once)
    # Convolutions over fewer frames may add in another order: a few steps of float32.
    torch.testing.assert_close(parts.features, whole.features, rtol=0, atol=1e-5)
    torch.testing.assert_close(parts.opacity, whole.opacity, rtol=0, atol=1e-5)
    torch.testing.assert_close(parts.depth, whole.depth, rtol=0, atol=1e-4)


def test_no_more_is_worked_on_than_so_many_frames_are(generator: torch.Generator) -> None:
    cameras, layer = ring(5), small_layer()
    pooled, convolved = [], []
    layer.ibrnet_aggregator.register_forward_hook(lambda _, given, made: pooled.append(given[0].shape[:3]))
    for module in (layer.proj_in_2d, layer.proj_out_2d_fg, layer.proj_out_2d_bg):
        module.register_forward_hook(lambda _, given, made: convolved.append(len(made)))
    seen(layer, cameras, inputs(cameras, generator), frames_at_once=2)
    # Two fifths of the 216 voxels at a time, as all five frames see them.
    assert pooled == [(1, 5, 87), (1, 5, 87), (1, 5, 42)]
    assert sorted(convolved) == [1] * 3 + [2] * 6


def _gradients(
    layer: ProjectionLayer, cameras: GroupCameras, values: list[Tensor], noise: Tensor
) -> list[Tensor]:
    """Features, and gradients of their squares by all weights and inputs."""
    features, timesteps, time = values
    features = features.clone().requires_grad_()
    found = layer(features, cameras, timesteps, time, 1, lambda shape: noise.view(shape)).features
    names = [value for value in layer.parameters() if value.requires_grad]
    return [
        found.detach(),
        *torch.autograd.grad(found.square().sum(), [features, *names], allow_unused=False),
    ]


def test_every_weight_learns(generator: torch.Generator) -> None:
    cameras = ring(3)
    found = _gradients(
        small_layer(layers=5), cameras, inputs(cameras, generator), torch.zeros(1, 3, 5, 5, 16)
    )
    assert min(float(gradient.abs().max()) for gradient in found) > 0


def test_gradients_of_the_renderer_are_right(generator: torch.Generator) -> None:
    config = ProjectionConfig(latent=2, samples=3)
    beam = lattice.lattice_of(ring(1), (2, 2), 3, 1, config).beams[0]
    renderer = VolumeRenderer(2).double()
    for value in renderer.parameters():
        value.data.uniform_(0.2, 0.8, generator=generator)
    grid = torch.rand(27, 2, dtype=torch.float64, generator=generator, requires_grad=True)
    encoding = torch.rand(4, 2, dtype=torch.float64, generator=generator, requires_grad=True)
    noise = torch.rand(4, 6, dtype=torch.float64, generator=generator, requires_grad=True)

    def render(grid: Tensor, encoding: Tensor, noise: Tensor, *weights: Tensor) -> tuple[Tensor, ...]:
        names = [name for name, _ in renderer.named_parameters()]
        given = dict(zip(names, weights, strict=True))
        return tuple(torch.func.functional_call(renderer, given, (grid, beam, encoding, noise)))

    assert torch.autograd.gradcheck(render, (grid, encoding, noise, *renderer.parameters()))


def test_noise_is_drawn_for_all_samples_of_all_frames(generator: torch.Generator) -> None:
    cameras, layer, asked = ring(3, groups=2), small_layer(), []
    values = inputs(cameras, generator)

    def noise(shape: tuple[int, ...]) -> Tensor:
        asked.append(shape)
        return torch.randn(shape, generator=generator)

    changed = seen(layer, cameras, values, noise=noise).opacity - seen(layer, cameras, values).opacity
    assert asked == [(2, 3, 5, 5, 16)]
    assert changed.abs().max() > 1e-3


def test_layers_share_what_cameras_decide(generator: torch.Generator) -> None:
    cameras, config = ring(2), ProjectionConfig(latent=4, samples=4)
    made = lattice.lattice_of(cameras, (4, 4), 6, 2, config)
    assert lattice.lattice_of(cameras, (4, 4), 6, 2, ProjectionConfig(latent=4, samples=4)) is made
    assert lattice.lattice_of(cameras, (4, 4), 6, 1, config) is not made


def test_autocast_reaches_neither_geometry_nor_renderer(generator: torch.Generator) -> None:
    cameras = ring(2)
    layer = small_layer(layers=0, aggregator="mean", compress="single")
    between: list[Any] = []
    layer.volume_renderer.register_forward_hook(lambda _, given, gives: between.append((given, gives)))
    with torch.autocast("cpu", torch.bfloat16):
        found = seen(layer, cameras, inputs(cameras, generator))
    given, gives = between[0]
    with torch.no_grad():
        assert torch.equal(layer.volume_renderer(*given).features, gives.features)
    assert found.opacity.dtype == torch.float32
    assert found.features.dtype == torch.float32


def test_what_is_first_made_for_inference_serves_training(generator: torch.Generator) -> None:
    cameras, layer = ring(2), small_layer()
    features, timesteps, time = inputs(cameras, generator)
    with torch.inference_mode():
        layer(features, cameras, timesteps, time)
    found = layer(features, cameras, timesteps, time).features
    found.sum().backward()
    assert layer.proj_in_2d[0].conv.weight.grad.abs().max() > 0


def test_samples_lie_before_cameras_even_within_the_box() -> None:
    config = ProjectionConfig(latent=2, samples=5, background=False)
    beam = lattice.lattice_of(ring(3, radius=0.3), (4, 4), 4, 3, config).beams[0]
    assert beam.depths.min() >= 0
    assert beam.steps.min() > 0


def test_cameras_that_see_nothing_of_the_box_do_no_harm(generator: torch.Generator) -> None:
    cameras = ring(2)
    poses = cameras.poses.clone()
    poses[:, :, 2:3] = -poses[:, :, 2:3]
    away = GroupCameras(poses, cameras.intrinsics, 256, 256, cameras.box)
    values = inputs(away, generator)
    found = _gradients(small_layer(background=False), away, values, torch.zeros(1, 2, 5, 5, 8))
    assert all(bool(value.isfinite().all()) for value in found)


@pytest.mark.parametrize(
    ("options", "culprit"),
    [
        ({"layers": 4}, "layers"),
        ({"latent": 3}, "latent"),
        ({"samples": 1}, "samples"),
        ({"density_noise": -1.0}, "density_noise"),
        ({"background_share": 1.0}, "background_share"),
        ({"disparity_at_infinity": 0.0}, "disparity_at_infinity"),
        ({"background_share": 0.4, "official_axes": True}, "background_share"),
        ({"background_share": 0.4, "official_contraction": True}, "background_share"),
    ],
)
def test_options_that_cannot_work_are_refused(options: dict[str, float], culprit: str) -> None:
    with pytest.raises(ConfigError, match=f"projection.{culprit}"):
        ProjectionConfig(**options)


def test_a_grid_that_cannot_be_halved_is_refused() -> None:
    with pytest.raises(ConfigError, match="cannot be halved 2 times"):
        ProjectionLayer(CHANNELS, TIME, 6, ProjectionConfig(layers=7))

"""The network's bricks against what they must equal, and the network against its invariants."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from novelview.cameras.cameras import Cameras
from novelview.errors import ConfigError
from novelview.methods.quark import METHOD
from novelview.methods.quark.blocks import Collapse, OneToMany
from novelview.methods.quark.config import QuarkConfig, rows_and_columns
from novelview.methods.quark.network import Layers, Network
from novelview.methods.quark.picture import picture
from novelview.methods.quark.rig import Rig
from novelview.random import generator_for
from novelview.rendering.layers import pixel_centres

TINY: QuarkConfig = METHOD.presets["tiny"].config
PUBLISHED_STEPS = replace(
    TINY,
    cells=32 * 32,
    feature_cells=32 * 32,
    levels=(0, 0, 1, 1, 2, 3),
    heads=(4, 4, 4, 4, 2, 1),
    groups=(1, 1, 1, 1, 1, 1),
    convolutions=(1, 1, 1, 1, 1, 1),
    collapse=(False, False, False, False, True, True),
    sweep=False,
)


def seeded(config: QuarkConfig) -> Network:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Network(config).eval()


def row(count: int, step: float = 0.1, size: int = 32) -> Cameras:
    """Cameras side by side that look along z."""
    poses = torch.eye(4)[:3].repeat(count, 1, 1)
    poses[:, 0, 3] = step * torch.arange(count)
    return Cameras.pinhole(poses, torch.tensor([size * 0.9, size * 0.9, size / 2, size / 2]), size, size)


def photographs(count: int, size: int = 32) -> Tensor:
    return torch.rand(1, count, 3, size, size, generator=generator_for(0, "photographs"))


@torch.no_grad()
def seen(network: Network, images: Tensor, rig: Rig, size: int = 32) -> Tensor:
    return picture(network(images, rig), images, rig, pixel_centres(size, size, images)[None]).rgb


def test_the_published_size() -> None:
    count = sum(parameter.numel() for parameter in Network(QuarkConfig()).parameters())
    assert count == pytest.approx(0.96e6, rel=0.01)


def test_one_to_many_attention_equals_standard_attention_folded() -> None:
    channels, heads, views = 8, 2, 5
    block = OneToMany(channels, heads, 1).double()
    standard = nn.MultiheadAttention(channels, heads, bias=False, batch_first=True).double()
    width = channels // heads
    by_query, by_key, by_value = standard.in_proj_weight.chunk(3)
    with torch.no_grad():
        for h in range(heads):
            rows = slice(h * width, (h + 1) * width)
            # Standard logits are divided by the root of the head's width, these by that of all channels.
            folded = by_key[rows].T @ by_query[rows] * math.sqrt(heads)
            block.queries.query.weight[h * channels : (h + 1) * channels] = folded[:, :, None, None]
            block.output.weight[:, h * channels : (h + 1) * channels] = (
                standard.out_proj.weight[:, rows] @ by_value[rows]
            )[:, :, None, None]
        cells = torch.randn(3, channels, 2, 2, generator=generator_for(0), dtype=torch.float64)
        found = torch.randn(3, views, channels, 2, 2, generator=generator_for(1), dtype=torch.float64)
        result = block(cells, found, torch.zeros(3, views, 2, 2, dtype=torch.float64)) - cells
        queries = block.queries.norm(cells).permute(0, 2, 3, 1).reshape(-1, 1, channels)
        keys = found.permute(0, 3, 4, 1, 2).reshape(-1, views, channels)
        expected = standard(queries, keys, keys)[0].view(3, 2, 2, channels).permute(0, 3, 1, 2)
    torch.testing.assert_close(result, expected, rtol=0, atol=1e-12)


def test_views_without_say_change_nothing() -> None:
    block = OneToMany(8, 2, 1)
    cells, views = torch.randn(1, 8, 2, 2), torch.randn(1, 3, 8, 2, 2)
    say = torch.tensor([0.0, 0.0, -1e4])[None, :, None, None].expand(1, 3, 2, 2)
    other = views.clone()
    other[:, 2] = 100.0
    torch.testing.assert_close(block(cells, views, say), block(cells, other, say))


def test_collapse_equals_a_loop() -> None:
    collapse, cells = Collapse(4), torch.randn(2, 6, 4, 3, 3)
    merged = collapse(cells)
    assert merged.shape == (2, 3, 4, 3, 3)
    for k in range(3):
        far, near = cells[:, 2 * k], cells[:, 2 * k + 1]
        torch.testing.assert_close(
            merged[:, k], (far + near) / 2 + collapse.branch(torch.cat([far, near], dim=1))
        )


@pytest.mark.parametrize("config", [TINY, PUBLISHED_STEPS], ids=["sweep", "published"])
def test_the_order_of_the_views_does_not_matter(config: QuarkConfig) -> None:
    network, cameras, images = seeded(config), row(5), photographs(4)
    order = [2, 0, 3, 1]
    one = seen(network, images, Rig.of(cameras[4], cameras[:4], 1.0, math.inf))
    other = seen(network, images[:, order], Rig.of(cameras[4], cameras[order], 1.0, math.inf))
    torch.testing.assert_close(one, other, rtol=0, atol=1e-5)


@pytest.mark.parametrize("config", [TINY, PUBLISHED_STEPS], ids=["sweep", "published"])
def test_a_view_without_weight_counts_as_if_it_were_not_there(config: QuarkConfig) -> None:
    network, cameras, images = seeded(config), row(5), photographs(4)
    with torch.no_grad():
        # Opacities that differ, so that every part of the network matters.
        for head in network.heads:
            head.weight.mul_(20)
    without = seen(network, images[:, :3], Rig.of(cameras[4], cameras[:3], 1.0, math.inf))
    faded = Rig.of(cameras[4], cameras[:4], 1.0, math.inf, torch.tensor([1.0, 1.0, 1.0, 0.0]))
    torch.testing.assert_close(seen(network, images, faded), without, rtol=0, atol=1e-3)
    assert not torch.allclose(
        seen(network, images, Rig.of(cameras[4], cameras[:4], 1.0, math.inf)), without, atol=1e-2
    )


@pytest.mark.parametrize("config", [TINY, PUBLISHED_STEPS], ids=["sweep", "published"])
def test_what_one_view_alone_sees_fades_with_it(config: QuarkConfig) -> None:
    network, images = seeded(config), photographs(3)
    # The last view alone sees the target's right side.
    cameras = row(4, step=0.45)

    def with_weight(weight: float) -> Tensor:
        weights = torch.tensor([1.0, 1.0, weight])
        return seen(network, images, Rig.of(cameras[1], cameras[[0, 1, 3]], 1.0, 2.0, weights))

    whole, half, trace, gone = (with_weight(weight) for weight in (1.0, 0.5, 1e-3, 0.0))
    assert float((whole - gone).abs().max()) > 0.1
    assert float((trace - gone).abs().max()) < 0.02
    assert float((half - gone).abs().mean()) < float((whole - gone).abs().mean())


@pytest.mark.parametrize("count", [1, 2, 7, 16])
def test_any_number_of_views(count: int) -> None:
    cameras = row(count + 1, step=0.02)
    result = seen(seeded(TINY), photographs(count), Rig.of(cameras[0], cameras[1:], 1.0, 50.0))
    assert result.shape == (1, 3, 32, 32)
    assert bool(result.isfinite().all())


def test_a_batch_equals_its_samples() -> None:
    network, cameras = seeded(TINY), row(6)
    images = torch.cat([photographs(3), photographs(3).flip(-1)])
    rigs = [Rig.of(cameras[i], cameras[3:], 1.0, 40.0 + i) for i in range(2)]
    xy = pixel_centres(32, 32, images)[None].expand(2, -1, -1, -1)
    with torch.no_grad():
        together = picture(network(images, Rig.stack(rigs)), images, Rig.stack(rigs), xy).rgb
        apart = torch.cat([seen(network, images[i : i + 1], rigs[i]) for i in range(2)])
    torch.testing.assert_close(together, apart, rtol=0, atol=1e-5)


def test_a_plane_seen_by_exact_geometry() -> None:
    # A texture on the plane in the middle of the farther of two bands, between 1 and infinity.
    size, frequency, disparity = 64, 0.21, 0.25
    cameras = row(6, step=0.1, size=size)
    x = torch.arange(size) + 0.5
    shift = cameras.centres[1:, 0] * disparity * 0.9 * size

    def texture(at: Tensor) -> Tensor:
        return torch.sin(at * frequency).expand(3, size, size)

    # The camera at 0.1 m sees what the target sees, moved to the left.
    images = torch.stack([texture(x + moved) for moved in shift])[None]
    logits = torch.zeros(1, 2, 24, 32)
    alpha = torch.full((1, 2, 24, 32), -30.0)
    layers = Layers(logits, alpha, torch.zeros(1, 2, 5, 24, 32))
    rig = Rig.of(cameras[0], cameras[1:], 1.0, math.inf)
    found = picture(layers, images, rig, pixel_centres(size, size, images)[None])
    inner = (found.rgb[0] - texture(x))[..., 8:-8]
    assert float(inner.abs().max()) <= frequency**2 / 8
    torch.testing.assert_close(found.disparity, torch.full((1, size, size), disparity))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(
            picture(layers, images, rig, pixel_centres(size, size, images)[None]).rgb, found.rgb
        )


def test_rays_are_encoded_alike_in_a_bfloat16_network() -> None:
    cameras = row(3)
    rig = Rig.of(cameras[0], cameras[1:], 1.0, math.inf)
    expected = rig.rays(8, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(rig.rays(8, 8, 8), expected)


def test_every_parameter_learns() -> None:
    network, cameras, images = seeded(PUBLISHED_STEPS), row(5), photographs(4)
    rig = Rig.of(cameras[4], cameras[:4], 1.0, math.inf)
    shown = picture(network(images, rig), images, rig, pixel_centres(32, 32, images)[None])
    (shown.rgb.square().mean() + shown.disparity.mean()).backward()
    without = [
        name for name, each in network.named_parameters() if each.grad is None or not bool(each.grad.any())
    ]
    assert without == []


def test_rays_through_the_targets_centre_are_encoded_as_zero() -> None:
    camera = row(1)
    encoded = Rig.of(camera, camera, 1.0, 10.0).rays(4, 4, 8)
    sines, cosines = encoded.unflatten(1, (2, 2, 8)).unbind(2)
    torch.testing.assert_close(sines, torch.zeros_like(sines), atol=1e-3, rtol=0)
    torch.testing.assert_close(cosines, torch.ones_like(cosines), atol=1e-3, rtol=0)


def test_rays_are_encoded_by_what_they_pass_of_the_targets_image() -> None:
    target, views = row(1), row(4)[1:]
    turn = torch.linalg.matrix_exp(torch.tensor([[0.0, 0.0, 0.2], [0.0, 0.0, 0.1], [-0.2, -0.1, 0.0]]))
    views = replace(
        views, camera_to_world=torch.cat([turn @ views.rotations, views.centres[..., None]], dim=-1)
    )
    near, far, octaves = 1.5, 12.0, 3
    encoded = Rig.of(target, views, near, far).rays(4, 4, octaves).unflatten(1, (2, 2, octaves))
    for m in range(3):
        for i in range(4):
            for j in range(4):
                pixel = torch.tensor([[[(j + 0.5) * 8, (i + 0.5) * 8]]])
                rays = views[m].rays_through(pixel)
                origin, direction = rays.origins.reshape(3), rays.directions.reshape(3)
                met = []
                for depth in (near, far):
                    point = origin + (depth - origin[2]) / direction[2] * direction
                    met.append(target.project(point[None])[0].reshape(2) / 32)
                passed = torch.tanh(2 * (met[0] - met[1]))
                angles = passed[:, None] * math.pi * torch.tensor([1.0, 2.0, 4.0])
                expected = torch.stack([torch.cat([angles.sin(), angles.cos()], dim=1)]).view(2, 2, octaves)
                torch.testing.assert_close(encoded[m, :, :, :, i, j], expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("aspect", [0.5, 1.0, 16 / 9])
def test_grids_follow_the_aspect_at_the_same_number_of_cells(aspect: float) -> None:
    rows, columns = rows_and_columns(288 * 512, aspect)
    assert rows % 8 == columns % 8 == 0
    assert rows * columns == pytest.approx(288 * 512, rel=0.03)
    assert columns / rows == pytest.approx(aspect, rel=0.05)


@pytest.mark.parametrize("detail", [1.0, 2.0])
def test_detail_scales_the_rows_and_columns_of_layers(detail: float) -> None:
    rig = Rig.of(row(1)[0], row(2), 1.0, 10.0)
    with torch.no_grad():
        layers = seeded(replace(TINY, detail=detail))(photographs(2), rig)
    assert layers.depth.shape[-2:] == (16 * detail, 16 * detail)


@pytest.mark.parametrize(
    "change",
    [
        {"levels": (0, 2, 3)},
        {"levels": (1, 2)},
        {"heads": (1,)},
        {"collapse": (True, False)},
        {"layers": 0},
        {"fade": -1.0},
        {"procedural": 1.5},
        {"crop": -1},
        {"detail": 0.0},
    ],
)
def test_steps_that_cannot_work_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        replace(TINY, **change)  # type: ignore[arg-type]

"""The fast renderers against the readable one."""

from __future__ import annotations

import importlib.util
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from novelview.cameras.cameras import Cameras
from novelview.methods.quark import renderers
from novelview.methods.quark.network import Layers
from novelview.methods.quark.picture import Picture, picture
from novelview.methods.quark.rig import Rig
from novelview.random import generator_for
from novelview.rendering.compiled import can_compile
from novelview.rendering.layers import pixel_centres

Case = tuple[Layers, torch.Tensor, Rig, torch.Tensor]
needs_numba = pytest.mark.skipif(not can_compile(), reason="numba is not installed")


def case(
    count: int = 1,
    layers: int = 4,
    views: int = 3,
    size: tuple[int, int] = (24, 40),
    turn: float = 0.0,
    ahead: float = 0.0,
) -> Case:
    """Random smooth layers, photographs of noise, and cameras side by side, some of which see little."""
    generator, (height, width) = generator_for(0, "layers", views), size

    def smooth(*shape: int) -> torch.Tensor:
        coarse = torch.randn(*shape, 3, 4, generator=generator).flatten(0, -3)[None]
        return 2 * F.interpolate(coarse, (10, 14), mode="bicubic")[0].unflatten(0, shape)

    poses = torch.eye(4)[:3].repeat(views + 1, 1, 1)
    poses[1:, 0, 3] = torch.linspace(-0.6, 0.6, views)
    poses[1:, 1, 3] = 0.1 * torch.randn(views, generator=generator)
    poses[1:, 2, 3] = ahead
    poses[-1, :, :3] = torch.tensor(
        [[math.cos(turn), 0.0, math.sin(turn)], [0.0, 1.0, 0.0], [-math.sin(turn), 0.0, math.cos(turn)]]
    )
    cameras = Cameras.pinhole(poses, torch.tensor([30.0, 30.0, width / 2, height / 2]), width, height)
    weights = torch.linspace(1.0, 0.01, views)
    rigs = [Rig.of(cameras[0], cameras[1:], 1.0, far, weights) for far in (math.inf, 9.0)[:count]]
    shown = Layers(smooth(count, layers), smooth(count, layers), smooth(count, layers, views))
    photographs = torch.rand(count, views, 3, 18, 30, generator=generator)
    xy = pixel_centres(height, width, photographs)[None].expand(count, -1, -1, -1)
    return shown, photographs, Rig.stack(rigs), xy


CASES = pytest.mark.parametrize(
    "arguments",
    [
        case(),
        case(count=2),
        case(layers=1, views=1),
        case(views=5, turn=3.0),
        case(size=(1, 7)),
        case(ahead=2.0),
    ],
    ids=[
        "usual",
        "two targets",
        "one layer, one view",
        "one looks back",
        "a single row",
        "many points behind",
    ],
)


def difference(found: Picture, expected: Picture) -> tuple[float, float]:
    apart = (found.rgb - expected.rgb).abs().max(), (found.disparity - expected.disparity).abs().max()
    return float(apart[0]), float(apart[1])


@needs_numba
@CASES
def test_the_compiled_renderer_agrees(arguments: Case) -> None:
    from novelview.methods.quark import fused

    expected = picture(*arguments)
    # Photographs have 10 bits per colour there, and bilinear weights 11.
    rgb, disparity = difference(fused.picture(*arguments, least=0.0), expected)
    assert rgb < 0.5 / 255
    assert disparity < 1e-5
    rgb, disparity = difference(fused.picture(*arguments), expected)
    assert rgb <= 2 / 255
    assert disparity <= 5e-3


@needs_numba
def test_the_compiled_renderer_takes_any_numbers() -> None:
    from novelview.methods.quark import fused

    layers, photographs, rig, xy = case()
    wild = Layers(1e4 * layers.depth, 1e4 * layers.alpha, 1e3 * layers.blend)
    found = fused.picture(wild, photographs, rig, 3 * xy - 1)
    assert bool(found.rgb.isfinite().all())
    assert float(found.rgb.min()) >= 0
    assert float(found.rgb.max()) <= 1 + 1e-5


@needs_numba
@pytest.mark.parametrize("name", ["depth", "alpha", "blend"])
def test_the_compiled_renderer_survives_what_is_not_a_number(name: str) -> None:
    from novelview.methods.quark import fused

    layers, *others = case()
    broken = getattr(layers, name).clone()
    broken[0, -1, ..., 3, 4] = torch.nan
    found = fused.picture(replace(layers, **{name: broken}), *others)
    assert not bool(torch.cat([found.rgb, found.disparity[:, None]], dim=1).isfinite().all())
    assert bool(found.rgb[..., -4:].isfinite().all())


def test_strips_are_the_same_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = case(count=2)
    monkeypatch.setattr(renderers, "SAMPLES_AT_ONCE", 2000)
    rgb, disparity = difference(renderers.in_strips(*arguments), picture(*arguments))
    assert rgb < 1e-6
    assert disparity < 1e-6


def test_without_numba_the_readable_renderer_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    arguments = case()
    assert difference(renderers.fast_picture(*arguments), picture(*arguments))[0] < 1e-6


def run_triton(device: str) -> None:
    # In a process of its own: whether kernels are interpreted is settled when they are imported, and checks of types
    # that tests wrap around every function are not for the compiler.
    script = Path(__file__).with_name("triton_agrees.py")
    found = subprocess.run([sys.executable, str(script), device], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr[-2000:]


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="triton is not installed")
def test_the_triton_kernel_agrees_when_interpreted() -> None:
    run_triton("cpu")


@pytest.mark.gpu
def test_the_triton_kernel_agrees_on_a_gpu() -> None:
    run_triton("cuda")

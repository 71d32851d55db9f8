"""The compiled path along rays: values and gradients against the readable one, against loops, and by threads."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from novelview.volumes import kernels, reference
from novelview.volumes.kernels import kernels_for
from novelview.volumes.lookup import Coordinates

fused = pytest.importorskip("novelview.volumes.fused", reason="numba is not installed")

SHIFT = -1.0


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def a_field(generator: torch.Generator, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """Lumpy density, from thin to opaque, on one grid; colours on another."""
    density = 6 * torch.randn(9, 7, 8, generator=generator, dtype=dtype)
    colour = torch.randn(5, 6, 4, 6, generator=generator, dtype=dtype)
    return density.requires_grad_(), colour.requires_grad_()


def some_rays(
    rays: int, samples: int, generator: torch.Generator, dtype: torch.dtype = torch.float32
) -> tuple[Coordinates, Tensor]:
    """Samples on lines that enter and leave the unit cube, and their lengths."""
    start, end = torch.rand(2, rays, 1, 3, generator=generator, dtype=dtype) * 1.4 - 0.2
    places = start + (end - start) * torch.linspace(0, 1, samples, dtype=dtype)[:, None]
    x, y, z = (axis.contiguous() for axis in places.unbind(dim=-1))
    return (x, y, z), torch.rand(rays, samples, generator=generator, dtype=dtype) * 0.5


def outputs_and_gradients(module: kernels.Kernels, seed: int, rays: int = 700) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    density, colour = a_field(generator)
    position, length = some_rays(rays, 20, generator)
    total, weights = module.composite(density, colour, SHIFT, position, length)
    by_total = torch.randn(total.shape, generator=generator)
    by_weights = torch.randn(weights.shape, generator=generator)
    value = (total * by_total).sum() + (weights * by_weights).sum()
    return [total, weights, *torch.autograd.grad(value, (density, colour))]


@pytest.mark.parametrize("seed", [0, 1])
def test_composite_agrees_with_the_reference(seed: int) -> None:
    for fast, slow in zip(
        outputs_and_gradients(fused, seed), outputs_and_gradients(reference, seed), strict=True
    ):
        torch.testing.assert_close(fast, slow, atol=2e-4, rtol=2e-4)


def test_threads_change_only_the_rounding(two_threads: None) -> None:
    in_two = outputs_and_gradients(fused, 0)
    again = outputs_and_gradients(fused, 0)
    torch.set_num_threads(1)
    for one, two, same in zip(outputs_and_gradients(fused, 0), in_two, again, strict=True):
        torch.testing.assert_close(one, two, atol=2e-5, rtol=2e-5)
        assert torch.equal(two, same)


def test_composite_passes_gradcheck(generator: torch.Generator) -> None:
    density, colour = a_field(generator, torch.float64)
    position, length = some_rays(6, 5, generator, torch.float64)

    def seen(density: Tensor, colour: Tensor) -> tuple[Tensor, Tensor]:
        total, weights = fused.composite(density, colour, SHIFT, position, length)
        return total, weights

    assert torch.autograd.gradcheck(seen, (density, colour), eps=1e-7, atol=1e-5)


def test_opaque_surface_hides_what_lies_behind() -> None:
    density, colour = torch.full((2, 2, 2), 50.0), torch.zeros(2, 2, 2, 3)
    colour[0], colour[1] = 1.0, 5.0
    x, rest = torch.tensor([[0.0, 1.0]]), torch.zeros(1, 2)
    for module in (fused, reference):
        total, weights = module.composite(density, colour, 0.0, (x, rest, rest), torch.ones(1, 2))
        torch.testing.assert_close(weights, torch.tensor([[1.0, 0.0]]))
        torch.testing.assert_close(total, torch.ones(1, 3))


def test_guide_agrees_with_the_reference(generator: torch.Generator) -> None:
    coarse = torch.rand(4, 5, 6, generator=generator) * (torch.rand(4, 5, 6, generator=generator) < 0.3)
    position, length = some_rays(600, 16, generator)
    jitter = torch.rand(600, 1, generator=generator)
    fast = fused.guide(coarse, position, length, 0.3, 9, jitter)
    slow = reference.guide(coarse, position, length, 0.3, 9, jitter)
    for one, other in zip(fast, slow, strict=True):
        torch.testing.assert_close(one, other, atol=2e-4, rtol=2e-4)


def test_no_rays_are_no_trouble(generator: torch.Generator) -> None:
    density, colour = a_field(generator)
    position, length = some_rays(0, 5, generator)
    for module in (fused, reference):
        total, weights = module.composite(density, colour, SHIFT, position, length)
        assert total.shape == (0, 6)
        assert weights.shape == (0, 5)
        for gradient in torch.autograd.grad(total.sum() + weights.sum(), (density, colour)):
            assert not gradient.any()


def test_places_that_are_not_numbers_stay_inside_the_tables(generator: torch.Generator) -> None:
    density, colour = a_field(generator)
    (x, y, z), length = some_rays(300, 5, generator)
    x, y = torch.full_like(x, torch.nan), torch.full_like(y, torch.inf)
    covered, shares = fused.guide(
        density.detach().exp(), (x, y, z), length, 0.3, 9, torch.rand(300, 1, generator=generator)
    )
    assert bool(covered.isfinite().all())
    assert bool(shares.isfinite().all())
    at_face, _ = fused.composite(density, colour, SHIFT, (torch.zeros_like(x), torch.ones_like(y), z), length)
    total, weights = fused.composite(density, colour, SHIFT, (x, y, z), length)
    torch.testing.assert_close(total, at_face)
    (total.sum() + weights.sum()).backward()


def test_the_fast_path_is_taken_where_it_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    assert kernels_for(torch.zeros(1)) is fused
    assert kernels_for(torch.zeros(1, dtype=torch.float64)) is reference
    assert kernels_for(torch.zeros(1, device="meta")) is reference
    kernels._on_cpu.cache_clear()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert kernels_for(torch.zeros(1)) is reference
    kernels._on_cpu.cache_clear()

"""Lens models against pycolmap, their own inverses and a dense search for the fold."""

from __future__ import annotations

import numpy as np
import pycolmap
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from novelview.geometry.lenses import (
    Lens,
    _fisheye_fold,
    _opencv_fold,
    _opencv_with_jacobian,
    distort,
    undistort,
)

WIDTH, HEIGHT, FOCAL = 1080, 1920, 1375.0
FOX = (0.057842, -0.08051, -0.00098, 0.000156)

# Name, lens, coefficients of pycolmap, and which of our eight they are.
MODELS = [
    ("SIMPLE_PINHOLE", Lens.PINHOLE, (), ()),
    ("PINHOLE", Lens.PINHOLE, (), ()),
    ("SIMPLE_RADIAL", Lens.OPENCV, (0.022386,), (0,)),
    ("SIMPLE_RADIAL", Lens.OPENCV, (-0.18,), (0,)),
    ("RADIAL", Lens.OPENCV, (-0.28, 0.07), (0, 1)),
    ("OPENCV", Lens.OPENCV, FOX, (0, 1, 2, 3)),
    ("OPENCV", Lens.OPENCV, (-0.33, 0.11, 0.002, -0.003), (0, 1, 2, 3)),
    ("FULL_OPENCV", Lens.OPENCV, (*FOX, 0.03, 0.01, -0.02, 0.01), range(8)),
    ("FULL_OPENCV", Lens.OPENCV, (8.2, 4.1, 1e-4, -2e-4, 0.2, 8.5, 6.9, 1.1), range(8)),
    ("SIMPLE_RADIAL_FISHEYE", Lens.FISHEYE, (-0.02,), (0,)),
    ("RADIAL_FISHEYE", Lens.FISHEYE, (0.03, -0.01), (0, 1)),
    ("OPENCV_FISHEYE", Lens.FISHEYE, (-0.0125, 0.0062, -0.0091, 0.0023), range(4)),
]


def coefficients(values: tuple[float, ...], places: object) -> torch.Tensor:
    row = torch.zeros(1, 8, dtype=torch.float64)
    row[0, list(places)] = torch.tensor(values, dtype=torch.float64)  # type: ignore[call-overload]
    return row


def image_points(count: int = 21) -> np.ndarray:
    x, y = np.meshgrid(np.linspace(0, WIDTH, count), np.linspace(0, HEIGHT, count))
    return np.stack([x.ravel(), y.ravel()], axis=1)


@pytest.mark.parametrize(("name", "lens", "values", "places"), MODELS)
def test_lens_agrees_with_pycolmap(name: str, lens: Lens, values: tuple[float, ...], places: object) -> None:
    centre = (WIDTH / 2 + 14.5, HEIGHT / 2 - 5.2)
    single = name.startswith(("SIMPLE", "RADIAL"))
    camera = pycolmap.Camera(
        model=name, width=WIDTH, height=HEIGHT, params=[FOCAL, *([] if single else [FOCAL]), *centre, *values]
    )
    ours = (torch.tensor([int(lens)]), coefficients(values, places))
    pixels = image_points()
    ideal = camera.cam_from_img(pixels)
    assert np.isfinite(ideal).all()

    straight = undistort(torch.from_numpy((pixels - centre) / FOCAL)[None], *ours)[0].numpy()
    # Seventh digits of pixels: pycolmap's own iteration stops at about 1e-10.
    np.testing.assert_allclose(straight * FOCAL, ideal * FOCAL, atol=2e-5)

    points = np.concatenate([ideal, np.ones_like(ideal[:, :1])], axis=1)
    bent = distort(torch.from_numpy(ideal)[None], *ours)[0].numpy() * FOCAL + centre
    np.testing.assert_allclose(bent, camera.img_from_cam(points), atol=1e-8)


def test_float32_keeps_its_accuracy() -> None:
    points = torch.from_numpy((image_points() - (WIDTH / 2, HEIGHT / 2)) / FOCAL)[None]
    for _, lens, values, places in MODELS:
        kind, bends = torch.tensor([int(lens)]), coefficients(values, places)
        exact = undistort(points, kind, bends)
        rounded = undistort(points.float(), kind, bends.float())
        assert rounded.dtype == torch.float32
        # A few units in the last place, and the coefficients' own rounding.
        torch.testing.assert_close(rounded.double(), exact, rtol=1e-6, atol=1e-7)


def test_mixed_batch_is_its_cameras_one_by_one() -> None:
    points = 0.4 * torch.randn(len(MODELS), 50, 2, generator=torch.Generator().manual_seed(0)).double()
    lens = torch.tensor([int(model[1]) for model in MODELS])
    bends = torch.cat([coefficients(model[2], model[3]) for model in MODELS])
    for function in (distort, undistort):
        together = function(points, lens, bends)
        for i in range(len(MODELS)):
            alone = function(points[i : i + 1], lens[i : i + 1], bends[i : i + 1])
            torch.testing.assert_close(together[i : i + 1], alone, rtol=1e-12, atol=1e-12, equal_nan=True)


def test_pinhole_ignores_coefficients() -> None:
    points = torch.tensor([[[0.3, -0.2], [5.0, 7.0]]])
    bends = torch.full((1, 8), 9.0)
    for function in (distort, undistort):
        torch.testing.assert_close(function(points, torch.tensor([0]), bends), points, rtol=0, atol=0)


def test_axis_and_no_points() -> None:
    lens, bends = torch.tensor([0, 1, 2]), torch.full((3, 8), 0.1)
    for function in (distort, undistort):
        assert torch.equal(function(torch.zeros(3, 1, 2), lens, bends), torch.zeros(3, 1, 2))
        assert function(torch.zeros(3, 0, 2), lens, bends).shape == (3, 0, 2)


def test_distort_is_differentiable() -> None:
    lens = torch.tensor([0, 1, 2])
    bends = torch.cat([coefficients(MODELS[i][2], MODELS[i][3]) for i in (0, 7, 11)])
    points = torch.tensor([[[0.3, -0.4], [0.0, 0.0], [0.9, 0.1]]], dtype=torch.float64).repeat(3, 1, 1)
    points.requires_grad_(), bends.requires_grad_()
    assert torch.autograd.gradcheck(lambda p, c: distort(p, lens, c), (points, bends), atol=1e-5)


def test_points_off_the_lens_spoil_no_gradient() -> None:
    points = torch.tensor([[[0.1, 0.1], [3.0, 0.0]]], requires_grad=True)
    bent = distort(points, torch.tensor([1]), coefficients((-0.3,), (0,)).float())
    assert bent[0, 1].isnan().all()
    bent[0, 0].sum().backward()
    assert points.grad is not None
    assert points.grad.isfinite().all()


def test_jacobian_is_the_derivative() -> None:
    bends = coefficients(MODELS[7][2], MODELS[7][3])
    point = torch.tensor([[[0.35, -0.6]]], dtype=torch.float64)
    _, jacobian = _opencv_with_jacobian(point, bends)
    expected = torch.autograd.functional.jacobian(lambda p: _opencv_with_jacobian(p, bends)[0], point)
    torch.testing.assert_close(jacobian.reshape(2, 2), expected.reshape(2, 2))


def test_beyond_the_fold_there_is_nothing() -> None:
    """r (1 - r^2 / 2 + r^4 / 10) grows to 0.6 at r = 1, falls, and passes 0.6 again far out: a ghost."""
    lens, bends = torch.tensor([1]), coefficients((-0.5, 0.1), (0, 1))
    radii = torch.tensor([0.3, 0.59, 0.61, 0.7, 2.0], dtype=torch.float64)
    straight = undistort(torch.stack([radii, 0 * radii], -1)[None], lens, bends)[0, :, 0]
    assert straight[:2].isfinite().all()
    assert (straight[:2] < 1).all()
    assert straight[2:].isnan().all()
    ideal = torch.tensor([[[0.99, 0.0], [1.01, 0.0], [2.0, 0.0]]], dtype=torch.float64)
    assert distort(ideal, lens, bends).isnan().any(-1).tolist() == [[False, True, True]]


def test_fisheye_sees_up_to_89_degrees() -> None:
    angles = torch.deg2rad(torch.tensor([0.0, 30.0, 60.0, 88.0, 89.5, 120.0], dtype=torch.float64))
    lens, bends = torch.tensor([2]), torch.zeros(1, 8, dtype=torch.float64)
    straight = undistort(torch.stack([angles, 0 * angles], -1)[None], lens, bends)[0, :, 0]
    torch.testing.assert_close(straight[:4], angles[:4].tan())
    assert straight[4:].isnan().all()


COEFFICIENT = st.floats(-0.35, 0.35)


@settings(deadline=None, max_examples=150)
@given(st.lists(COEFFICIENT, min_size=6, max_size=6))
def test_fold_against_dense_search(radial: list[float]) -> None:
    k1, k2, k3, k4, k5, k6 = radial
    found = float(_opencv_fold(coefficients((k1, k2, 0, 0, k3, k4, k5, k6), range(8)))[0])
    u = np.linspace(0, 9, 900_001)
    r = np.sqrt(u)
    above, below = 1 + u * (k1 + u * (k2 + u * k3)), 1 + u * (k4 + u * (k5 + u * k6))
    with np.errstate(divide="ignore", invalid="ignore"):
        image = r * above / below
    falls = np.nonzero((np.diff(image) <= 0) | (np.abs(below[1:]) < 1e-9) | (below[1:] < 0))[0]
    first = u[falls[0]] if len(falls) else np.inf
    if found < 8.9 or first < 8.9:
        # A turning point so flat that neighbours on the grid are equal shows early: its value is what counts.
        assert (
            abs(found - first) < 1e-3 or abs(np.interp(found, u, image) - np.interp(first, u, image)) < 1e-6
        )


@settings(deadline=None, max_examples=150)
@given(
    st.sampled_from([Lens.OPENCV, Lens.FISHEYE]),
    st.lists(COEFFICIENT, min_size=6, max_size=6),
    st.tuples(st.floats(-0.01, 0.01), st.floats(-0.01, 0.01)),
    st.integers(0, 2**31),
)
def test_round_trip(lens: Lens, radial: list[float], tangential: tuple[float, float], seed: int) -> None:
    """What the lens shows it gives back, up to nine tenths of the way to its fold.

    Decentring can fold an image that is nearly flat radially, so points are left out that such a fold comes before.
    """
    order = (*radial[:2], *tangential, *radial[2:]) if lens == Lens.OPENCV else (*radial[:4],)
    bends = coefficients(order, range(len(order)))
    fold = (_opencv_fold if lens == Lens.OPENCV else _fisheye_fold)(bends).sqrt()
    generator = torch.Generator().manual_seed(seed)
    angle, share = 2 * torch.pi * torch.rand(40, generator=generator), torch.rand(40, generator=generator)
    radius = share.double() * fold.mul(0.9).clamp(max=1.5)
    points = (torch.stack([angle.cos(), angle.sin()], -1).double() * radius[:, None])[None]
    kind = torch.tensor([int(lens)])
    back = undistort(distort(points, kind, bends), kind, bends)
    clear = torch.ones(40, dtype=torch.bool)
    if lens == Lens.OPENCV:
        for step in torch.linspace(0, 1.02, 52):
            a, b, c, d = _opencv_with_jacobian(step * points, bends)[1][0].unbind(-1)
            clear &= (a * d - b * c > 0.1) & (a + d > 0)
    torch.testing.assert_close(back[0, clear], points[0, clear], rtol=1e-6, atol=1e-6)
    assert bool(clear.any())


@settings(deadline=None, max_examples=100)
@given(st.sampled_from([Lens.OPENCV, Lens.FISHEYE]), st.lists(COEFFICIENT, min_size=8, max_size=8))
def test_undistorted_points_are_right_or_nan(lens: Lens, bends: list[float]) -> None:
    generator = torch.Generator().manual_seed(1)
    points, kind = 2 * torch.randn(1, 60, 2, generator=generator), torch.tensor([int(lens)])
    row = torch.tensor([bends])
    straight = undistort(points, kind, row)
    found = straight.isfinite().all(-1)
    assert (straight.isnan().all(-1) | found).all()
    again = distort(straight.double(), kind, row.double())
    error = (again - points).norm(dim=-1)[found & again.isfinite().all(-1)]
    # Near 89 degrees a unit in the last place of (x/z, y/z) is already this much of the image.
    assert (error < 1e-3).all()

"""Lens distortion on normalised image coordinates (x/z, y/z): OpenCV's rational model and its fisheye model.

Source: OpenCV documentation, calib3d ("Detailed Description") and calib3d::fisheye; COLMAP's camera models are
special cases of the two.
"""

from __future__ import annotations

import math
from enum import IntEnum

import torch
from jaxtyping import Float, Int
from torch import Tensor


class Lens(IntEnum):
    """Which distortion model the eight coefficients of a camera belong to.

    ``OPENCV``: k1, k2, p1, p2, k3, k4, k5, k6 (OpenCV's own order). ``FISHEYE``: k1, k2, k3, k4, then zeros.
    """

    PINHOLE = 0
    OPENCV = 1
    FISHEYE = 2


COEFFICIENTS = 8
_NEWTON_STEPS = 20
# A ray that leaves the optical axis by more than this many degrees has no usable (x/z, y/z).
_WIDEST = math.radians(89.0)


def distort(
    points: Float[Tensor, "n p 2"], lens: Int[Tensor, " n"], coefficients: Float[Tensor, "n 8"]
) -> Float[Tensor, "n p 2"]:
    """Where an ideal image point (x/z, y/z) lands behind the lens, in normalised coordinates.

    Differentiable in points and coefficients. ``lens`` holds a :class:`Lens` per camera.
    """
    kind = lens[:, None, None]
    bent = torch.where(kind == Lens.OPENCV, _opencv(points, coefficients)[0], points)
    return torch.where(kind == Lens.FISHEYE, _fisheye(points, coefficients), bent)


def undistort(
    points: Float[Tensor, "n p 2"], lens: Int[Tensor, " n"], coefficients: Float[Tensor, "n 8"]
) -> Float[Tensor, "n p 2"]:
    """Inverse of :func:`distort`: the ideal point (x/z, y/z) seen at a distorted one.

    Points that no ideal point maps to (beyond the radius at which the polynomial folds back), and fisheye points
    89 degrees or more off the axis, are NaN.
    """
    kind = lens[:, None, None]
    with torch.no_grad():  # In float64: the iteration must reach the accuracy of float32, not chase its rounding.
        exact, bends = points.double(), coefficients.double()
        straight = torch.where(kind == Lens.OPENCV, _undo_opencv(exact, bends), exact)
        straight = torch.where(kind == Lens.FISHEYE, _undo_fisheye(exact, bends), straight)
    return straight.to(points.dtype)


def _opencv(points: Tensor, coefficients: Tensor) -> tuple[Tensor, Tensor]:
    """Distorted points and the 2x2 Jacobian of the map, row-major (..., 4)."""
    k1, k2, p1, p2, k3, k4, k5, k6 = coefficients[:, None, :].unbind(-1)
    x, y = points.unbind(-1)
    r2 = x * x + y * y
    above = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
    below = 1 + r2 * (k4 + r2 * (k5 + r2 * k6))
    radial = above / below
    slope_above = k1 + r2 * (2 * k2 + 3 * r2 * k3)
    slope_below = k4 + r2 * (2 * k5 + 3 * r2 * k6)
    slope = (slope_above - radial * slope_below) / below  # d radial / d r2
    bent_x = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
    bent_y = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
    cross = 2 * x * y * slope + 2 * p1 * x + 2 * p2 * y
    xx = radial + 2 * x * x * slope + 2 * p1 * y + 6 * p2 * x
    yy = radial + 2 * y * y * slope + 6 * p1 * y + 2 * p2 * x
    return torch.stack([bent_x, bent_y], -1), torch.stack([xx, cross, cross, yy], -1)


def _undo_opencv(target: Tensor, coefficients: Tensor) -> Tensor:
    guess = target.clone()
    for _ in range(_NEWTON_STEPS):
        bent, jacobian = _opencv(guess, coefficients)
        residual = target - bent
        a, b, c, d = jacobian.unbind(-1)
        determinant = a * d - b * c
        step = torch.stack(
            [d * residual[..., 0] - b * residual[..., 1], a * residual[..., 1] - c * residual[..., 0]], -1
        )
        guess = guess + step / determinant[..., None]
    bent, jacobian = _opencv(guess, coefficients)
    a, b, c, d = jacobian.unbind(-1)
    # Beyond the fold the Jacobian turns negative: such a solution is a mirror image, not what the lens shows.
    folded = (a * d - b * c <= 0) | (a + d <= 0)
    missed = ((target - bent).norm(dim=-1) > 1e-7 * (1 + target.norm(dim=-1))) | ~guess.isfinite().all(-1)
    return guess.masked_fill((folded | missed)[..., None], torch.nan)


def _fisheye_angle(theta: Tensor, coefficients: Tensor) -> tuple[Tensor, Tensor]:
    """Distorted angle and its derivative."""
    k1, k2, k3, k4 = coefficients[:, None, :4].unbind(-1)
    t2 = theta * theta
    bent = theta * (1 + t2 * (k1 + t2 * (k2 + t2 * (k3 + t2 * k4))))
    slope = 1 + t2 * (3 * k1 + t2 * (5 * k2 + t2 * (7 * k3 + t2 * 9 * k4)))
    return bent, slope


def _fisheye(points: Tensor, coefficients: Tensor) -> Tensor:
    # The inner where keeps the gradient at the axis finite; there the map is the identity.
    square = (points * points).sum(-1)
    radius = torch.where(square > 1e-12, square, torch.ones_like(square)).sqrt()
    bent, _ = _fisheye_angle(torch.atan(radius), coefficients)
    factor = torch.where(square > 1e-12, bent / radius, torch.ones_like(radius))
    return points * factor[..., None]


def _undo_fisheye(target: Tensor, coefficients: Tensor) -> Tensor:
    goal = target.norm(dim=-1)
    theta = goal.clamp(max=_WIDEST)
    for _ in range(_NEWTON_STEPS):
        bent, slope = _fisheye_angle(theta, coefficients)
        theta = (theta - (bent - goal) / slope).clamp(-math.pi, math.pi)
    bent, slope = _fisheye_angle(theta, coefficients)
    bad = ((bent - goal).abs() > 1e-7 * (1 + goal)) | (slope <= 0) | (theta < 0) | (theta >= _WIDEST)
    factor = torch.where(goal > 1e-9, torch.tan(theta) / goal.clamp_min(1e-9), torch.ones_like(goal))
    return (target * factor[..., None]).masked_fill(bad[..., None], torch.nan)

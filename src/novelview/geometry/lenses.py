"""Lens distortion on normalised image coordinates (x/z, y/z): OpenCV's rational model and its fisheye model.

Source: OpenCV documentation, calib3d ("Detailed Description") and calib3d::fisheye; COLMAP's camera models are
special cases of the two.
"""

from __future__ import annotations

import math
from collections.abc import Callable
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
NAMES = {
    Lens.PINHOLE: (),
    Lens.OPENCV: ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6"),
    Lens.FISHEYE: ("k1", "k2", "k3", "k4"),
}
Curve = Callable[[Tensor], tuple[Tensor, Tensor]]  # Value and slope.

_MOST_STEPS = 60  # Halving an interval so often reaches the last digit; Newton's method takes about five.
_FEW_STEPS = 6
_FARTHEST = 1e8  # Squared radius: nothing is seen farther than this off the axis.
# A ray that leaves the optical axis by more than this many degrees has no usable (x/z, y/z).
_WIDEST = math.radians(89.0)


def distort(
    points: Float[Tensor, "n p 2"], lens: Int[Tensor, " n"], coefficients: Float[Tensor, "n 8"]
) -> Float[Tensor, "n p 2"]:
    """Where an ideal image point (x/z, y/z) lands behind the lens, in normalised coordinates.

    Differentiable in points and coefficients. ``lens`` holds a :class:`Lens` per camera. Points beyond the radius
    at which the model folds back, where it describes no lens, are NaN: they must not come back into the image.
    """
    for kind, model, fold in ((Lens.OPENCV, _opencv, _opencv_fold), (Lens.FISHEYE, _fisheye, _fisheye_fold)):
        here = (lens == kind)[:, None, None]
        if bool(here.any()):
            # Other lenses' points are kept off this model, so that its infinities reach no gradient.
            inside = here & (points.square().sum(-1, keepdim=True) < fold(coefficients)[:, None, None])
            bent = model(torch.where(inside, points, 0.0), coefficients)
            points = torch.where(here, bent.masked_fill(~inside, torch.nan), points)
    return points


def undistort(
    points: Float[Tensor, "n p 2"], lens: Int[Tensor, " n"], coefficients: Float[Tensor, "n 8"]
) -> Float[Tensor, "n p 2"]:
    """Inverse of :func:`distort`: the ideal point (x/z, y/z) seen at a distorted one; not differentiable.

    Points that no ideal point maps to (beyond the radius at which the model folds back), and fisheye points
    89 degrees or more off the axis, are NaN.
    """
    with (
        torch.no_grad()
    ):  # In float64: the iteration must reach the accuracy of float32, not chase its rounding.
        straight, bends = points.double(), coefficients.double()
        for kind, undo in ((Lens.OPENCV, _undo_opencv), (Lens.FISHEYE, _undo_fisheye)):
            here = lens == kind
            if bool(here.any()):
                straight = straight.index_put((here,), undo(straight[here], bends[here]))
    return straight.to(points.dtype)


def _opencv(points: Tensor, coefficients: Tensor) -> Tensor:
    return _opencv_with_jacobian(points, coefficients)[0]


def _radial(square: Tensor, coefficients: Tensor) -> tuple[Tensor, Tensor]:
    """Factor by which the radius changes, and its derivative by the squared radius ``square``."""
    k1, k2, _, _, k3, k4, k5, k6 = coefficients[:, None, :].unbind(-1)
    below = 1 + square * (k4 + square * (k5 + square * k6))
    factor = (1 + square * (k1 + square * (k2 + square * k3))) / below
    slope_above = k1 + square * (2 * k2 + 3 * square * k3)
    slope_below = k4 + square * (2 * k5 + 3 * square * k6)
    return factor, (slope_above - factor * slope_below) / below


def _opencv_with_jacobian(points: Tensor, coefficients: Tensor) -> tuple[Tensor, Tensor]:
    """Distorted points and the 2x2 Jacobian of the map, row-major (..., 4)."""
    p1, p2 = coefficients[:, None, 2], coefficients[:, None, 3]
    x, y = points.unbind(-1)
    square = x * x + y * y
    radial, slope = _radial(square, coefficients)
    bent_x = x * radial + 2 * p1 * x * y + p2 * (square + 2 * x * x)
    bent_y = y * radial + p1 * (square + 2 * y * y) + 2 * p2 * x * y
    cross = 2 * x * y * slope + 2 * p1 * x + 2 * p2 * y
    xx = radial + 2 * x * x * slope + 2 * p1 * y + 6 * p2 * x
    yy = radial + 2 * y * y * slope + 6 * p1 * y + 2 * p2 * x
    return torch.stack([bent_x, bent_y], -1), torch.stack([xx, cross, cross, yy], -1)


def _opencv_fold(coefficients: Tensor) -> Tensor:
    """Squared radius at which r * radial(r) stops growing or has a pole; infinite where it never does."""
    k1, k2, _, _, k3, k4, k5, k6 = coefficients.detach().double().unbind(-1)
    one = torch.ones_like(k1)
    above, below = torch.stack([one, k1, k2, k3]), torch.stack([one, k4, k5, k6])
    # With u = r^2, the derivative of r A(u) / B(u) has the sign of A B + 2 u (A' B - A B').
    terms = [torch.zeros_like(k1) for _ in range(7)]
    for i in range(4):
        for j in range(4):
            terms[i + j] = terms[i + j] + (1 + 2 * (i - j)) * above[i] * below[j]
    turn, pole = _first_root(torch.stack(terms[1:], dim=-1)), _first_root(below[1:].T)
    return turn.minimum(pole).to(coefficients.dtype)


def _fisheye_fold(coefficients: Tensor) -> Tensor:
    """Squared radius at which the distorted angle stops growing, or of the widest angle if that comes first."""
    odd = coefficients.new_tensor([3.0, 5.0, 7.0, 9.0], dtype=torch.float64)
    angle = _first_root(odd * coefficients.detach()[:, :4]).sqrt().clamp(max=_WIDEST)
    return angle.tan().square().to(coefficients.dtype)


def _first_root(terms: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
    """Smallest positive root u of 1 + terms[0] u + terms[1] u^2 + …, infinite where there is none.

    1 / u is an eigenvalue of the companion matrix of the reversed polynomial, whatever terms vanish.
    """
    count, degree = terms.shape
    companion = torch.zeros(count, degree, degree, dtype=terms.dtype, device=terms.device)
    companion[:, 0] = -terms
    companion[:, 1:, :-1] = torch.eye(degree - 1, dtype=terms.dtype, device=terms.device)
    inverse = torch.linalg.eigvals(companion)
    real = inverse.imag.abs() <= 1e-7 * inverse.abs()
    return 1 / torch.where(real, inverse.real, 0.0).amax(dim=-1).clamp(min=0.0)


def _solve(curve: Curve, goal: Tensor, last: Tensor) -> Tensor:
    """Where a curve that grows from 0 up to ``last`` reaches ``goal``; about ``last`` where it does not.

    Newton's method between bounds that close in around the solution.
    """
    lower, upper = torch.zeros_like(goal), last.expand_as(goal)
    x = goal.minimum(0.99 * upper)
    for _ in range(_MOST_STEPS):
        value, slope = curve(x)
        lower, upper = torch.where(value < goal, x, lower), torch.where(value < goal, upper, x)
        newton = x - (value - goal) / slope
        following = torch.where((newton >= lower) & (newton <= upper), newton, (lower + upper) / 2)
        done = bool(((following - x).abs() < 1e-12 * (1 + x)).all())
        x = following
        if done:
            break
    return x


def _undo_opencv(target: Tensor, coefficients: Tensor) -> Tensor:
    fold = _opencv_fold(coefficients)[:, None].clamp(max=_FARTHEST)
    goal = target.norm(dim=-1)

    def bent_radius(radius: Tensor) -> tuple[Tensor, Tensor]:
        square = radius * radius
        factor, slope = _radial(square, coefficients)
        return radius * factor, factor + 2 * square * slope

    # First without the tangential part, which is small: then the full model is within reach of Newton's method.
    guess = target * (_solve(bent_radius, goal, fold.sqrt()) / goal.clamp(min=1e-12))[..., None]
    for _ in range(_FEW_STEPS):
        bent, jacobian = _opencv_with_jacobian(guess, coefficients)
        residual = target - bent
        if bool((residual.abs() < 1e-12).all()):
            break
        a, b, c, d = jacobian.unbind(-1)
        x, y = residual.unbind(-1)
        guess = guess + torch.stack([d * x - b * y, a * y - c * x], -1) / (a * d - b * c)[..., None]
    bent, jacobian = _opencv_with_jacobian(guess, coefficients)
    a, b, c, d = jacobian.unbind(-1)
    # Beyond the fold lie solutions that are mirror images or repetitions, not what the lens shows.
    folded = (a * d - b * c <= 0) | (a + d <= 0) | (guess.square().sum(dim=-1) >= fold)
    missed = ~((target - bent).norm(dim=-1) <= 1e-7 * (1 + goal))
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
    widest = _fisheye_fold(coefficients).sqrt().atan()[:, None]
    theta = _solve(lambda angle: _fisheye_angle(angle, coefficients), goal, widest)
    missed = ~((_fisheye_angle(theta, coefficients)[0] - goal).abs() <= 1e-7 * (1 + goal))
    factor = torch.where(goal > 1e-9, torch.tan(theta) / goal.clamp_min(1e-9), torch.ones_like(goal))
    return (target * factor[..., None]).masked_fill((missed | (theta >= widest))[..., None], torch.nan)

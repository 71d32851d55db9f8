"""Lens distortion on normalised image coordinates (x/z, y/z): OpenCV's polynomial model and its fisheye model."""

from __future__ import annotations

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


def distort(
    points: Float[Tensor, "n p 2"], lens: Int[Tensor, " n"], coefficients: Float[Tensor, "n 8"]
) -> Float[Tensor, "n p 2"]:
    """Where an ideal image point (x/z, y/z) lands behind the lens, in normalised coordinates."""
    raise NotImplementedError


def undistort(
    points: Float[Tensor, "n p 2"], lens: Int[Tensor, " n"], coefficients: Float[Tensor, "n 8"]
) -> Float[Tensor, "n p 2"]:
    """Inverse of :func:`distort`: the ideal point (x/z, y/z) seen at a distorted one."""
    raise NotImplementedError

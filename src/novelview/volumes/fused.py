"""Fast path of :mod:`novelview.volumes.reference` on a CPU: each ray from front to back in one compiled loop.

Compiled by numba at first use and kept in its cache. Every thread takes one contiguous part of the rays and, on the way
back, gradient tables of its own, so that the result depends on the number of threads only by rounding.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from novelview.rendering.compiled import array, compiled, inlined
from novelview.volumes.lookup import Coordinates
from novelview.volumes.reference import LEAST_LIGHT, LEAST_WEIGHT

# More threads would each add a gradient table as large as the grid.
MOST_THREADS = 4
# Fewer are not worth a thread of their own.
LEAST_RAYS = 256


def guide(
    coarse: Float[Tensor, "x y z"],
    position: Coordinates,
    length: Float[Tensor, "r b"],
    even_share: float,
    count: int,
    jitter: Float[Tensor, "r 1"],
) -> tuple[Tensor, Tensor]:
    """See :func:`novelview.volumes.reference.guide`."""
    covered, shares = length.new_empty(len(length)), length.new_empty(len(length), count)
    arrays = [array(axis) for axis in position]
    rays = (array(length), array(jitter[:, 0]))
    _in_parts(len(length), _guide, array(coarse), *arrays, *rays, even_share, array(covered), array(shares))
    return covered, shares


def composite(
    density: Float[Tensor, "x y z"],
    colour: Float[Tensor, "u v w c"],
    shift: float,
    position: Coordinates,
    length: Float[Tensor, "r s"],
) -> tuple[Tensor, Tensor]:
    """See :func:`novelview.volumes.reference.composite`."""
    total, weights = _Composite.apply(density, colour, shift, *position, length)
    return total, weights


class _Composite(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        density: Tensor,
        colour: Tensor,
        shift: float,
        x: Tensor,
        y: Tensor,
        z: Tensor,
        length: Tensor,
    ) -> tuple[Tensor, Tensor]:
        total = length.new_zeros(len(length), colour.shape[-1])
        weights, steepness = torch.zeros_like(length), torch.zeros_like(length)
        inputs = [array(each) for each in (density, colour, x, y, z, length)]
        _in_parts(len(length), _forward, *inputs, shift, array(total), array(weights), array(steepness))
        ctx.save_for_backward(density, colour, x, y, z, length, weights, steepness)
        return total, weights

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        density, colour = ctx.saved_tensors[:2]
        inputs = [array(each) for each in ctx.saved_tensors]
        into = [array(each) for each in gradients]

        def part(first: int, last: int) -> tuple[Tensor, Tensor]:
            tables = torch.zeros_like(density), torch.zeros_like(colour)
            _backward(*inputs, *into, *(array(table) for table in tables), first, last)
            return tables

        (by_density, by_colour), *others = _in_parts(len(into[0]), part)
        for more_density, more_colour in others:
            by_density.add_(more_density)
            by_colour.add_(more_colour)
        return by_density, by_colour, None, None, None, None, None


def _in_parts(rays: int, kernel: Callable[..., Any], *arguments: Any) -> list[Any]:
    """Run a kernel on parts of the rays, a thread each, and return what it returned for them."""
    threads = max(1, min(torch.get_num_threads(), MOST_THREADS, rays // LEAST_RAYS))
    first, *others = itertools.pairwise(rays * i // threads for i in range(threads + 1))
    if not others:
        return [kernel(*arguments, *first)]
    with ThreadPoolExecutor(len(others)) as pool:
        running = [pool.submit(kernel, *arguments, *part) for part in others]
        return [kernel(*arguments, *first), *(each.result() for each in running)]


@inlined
def _cell(place, count, one):  # type: ignore[no-untyped-def]
    """Lower node and share of the way to the next one, for a place in [0, 1] on an axis of ``count`` nodes."""
    # Comparisons that NaN fails: it must not become an index.
    scaled = (min(place, one) if place > 0 else one - one) * (one * (count - 1))
    lower = min(int(scaled), count - 2)
    return lower, scaled - one * lower


@compiled
def _guide(  # type: ignore[no-untyped-def]
    coarse, x, y, z, length, jitter, even_share, covered, shares, first, last
):
    bins, count = length.shape[1], shares.shape[1]
    nx, ny, nz = coarse.shape
    pdf = np.empty(bins)
    for r in range(first, last):
        light = 1.0
        for b in range(bins):
            i = min(max(int(x[r, b] * nx), 0), nx - 1)
            j = min(max(int(y[r, b] * ny), 0), ny - 1)
            k = min(max(int(z[r, b] * nz), 0), nz - 1)
            passed = light * math.exp(-coarse[i, j, k] * length[r, b])
            pdf[b] = light - passed
            light = passed
        covered[r] = 1.0 - light
        scale = (1.0 - even_share) / max(1.0 - light, 1e-6)
        even = even_share / bins
        whole = 1.0 / (even_share + scale * (1.0 - light))
        # Both the shares asked for and the sums grow: one walk along the ray finds all.
        b, reached, here = 0, 0.0, (even + pdf[0] * scale) * whole
        for k in range(count):
            wanted = (k + jitter[r]) / count
            while reached + here <= wanted and b < bins - 1:
                reached += here
                b += 1
                here = (even + pdf[b] * scale) * whole
            inside = (wanted - reached) / max(here, 1e-9)
            shares[r, k] = (b + min(max(inside, 0.0), 1.0)) / bins


@compiled
def _forward(  # type: ignore[no-untyped-def]
    density, colour, x, y, z, length, shift, total, weights, steepness, first, last
):
    # Look-ups compute in the arrays' precision, for which every constant must have their type; the rest in double.
    one = length.dtype.type(1)
    nx, ny, nz = density.shape
    cx, cy, cz, channels = colour.shape
    for r in range(first, last):
        light = 1.0
        for s in range(length.shape[1]):
            i, u = _cell(x[r, s], nx, one)
            j, v = _cell(y[r, s], ny, one)
            k, w = _cell(z[r, s], nz, one)
            value = one - one
            for a in range(2):
                for b in range(2):
                    side = (u if a else one - u) * (v if b else one - v)
                    low, high = density[i + a, j + b, k], density[i + a, j + b, k + 1]
                    value += side * (low + w * (high - low))
            grown = math.exp(min(shift + value, 80.0))
            # Softplus: thin media need no logarithm.
            thickness = length[r, s] * (math.log(1.0 + grown) if grown > 1e-6 else grown)
            steepness[r, s] = length[r, s] * grown / (1.0 + grown)
            passed = light * math.exp(-thickness)
            weight = length.dtype.type(light - passed)
            weights[r, s] = weight
            if weight > LEAST_WEIGHT:
                i, u = _cell(x[r, s], cx, one)
                j, v = _cell(y[r, s], cy, one)
                k, w = _cell(z[r, s], cz, one)
                for a in range(2):
                    for b in range(2):
                        side = weight * (u if a else one - u) * (v if b else one - v)
                        for c in range(2):
                            share = side * (w if c else one - w)
                            for n in range(channels):
                                total[r, n] += share * colour[i + a, j + b, k + c, n]
            light = passed
            if light < LEAST_LIGHT:
                break


@compiled
def _backward(  # type: ignore[no-untyped-def]
    density,
    colour,
    x,
    y,
    z,
    length,
    weights,
    steepness,
    by_total,
    by_weights,
    to_density,
    to_colour,
    first,
    last,
):
    one = length.dtype.type(1)
    samples, channels = length.shape[1], colour.shape[3]
    nx, ny, nz = density.shape
    cx, cy, cz = colour.shape[:3]
    by_weight = np.empty(samples)
    for r in range(first, last):
        light, seen = 1.0, 0
        for s in range(samples):
            weight, slope = weights[r, s], by_weights[r, s]
            if weight > LEAST_WEIGHT:
                i, u = _cell(x[r, s], cx, one)
                j, v = _cell(y[r, s], cy, one)
                k, w = _cell(z[r, s], cz, one)
                for a in range(2):
                    for b in range(2):
                        side = (u if a else one - u) * (v if b else one - v)
                        for c in range(2):
                            corner = side * (w if c else one - w)
                            share, product = weight * corner, one - one
                            for n in range(channels):
                                product += colour[i + a, j + b, k + c, n] * by_total[r, n]
                                to_colour[i + a, j + b, k + c, n] += share * by_total[r, n]
                            slope += corner * product
            by_weight[s] = slope
            light -= weight
            seen = s + 1
            if light < LEAST_LIGHT:
                break
        behind = 0.0
        for s in range(seen - 1, -1, -1):
            # What passes this sample falls on those behind it (NeRF, equation 3, differentiated).
            slope = length.dtype.type((by_weight[s] * light - behind) * steepness[r, s])
            behind += by_weight[s] * weights[r, s]
            light += weights[r, s]
            if slope == 0:
                continue
            i, u = _cell(x[r, s], nx, one)
            j, v = _cell(y[r, s], ny, one)
            k, w = _cell(z[r, s], nz, one)
            for a in range(2):
                for b in range(2):
                    side = slope * (u if a else one - u) * (v if b else one - v)
                    to_density[i + a, j + b, k] += side * (one - w)
                    to_density[i + a, j + b, k + 1] += side * w

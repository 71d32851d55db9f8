"""Fast path of :mod:`novelview.methods.quark.picture` on a CPU: a stretch of a row at a time, in vectors.

Compiled by numba at first use and kept in its cache. The pixels of a stretch that see a layer are moved together; all
arithmetic runs over these, in loops that write few arrays each: what they write is then quickly proven to be apart from
what they read, and the compiler turns them into vector instructions. What cannot be turned is the look-up of
photographs; it is made cheap: the three colours of a pixel are packed into one number, so that one multiplication
weighs them all, and what would add less than ``LEAST`` to a pixel is not looked up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from novelview.methods.quark.network import Layers
from novelview.methods.quark.picture import LEAST, Picture
from novelview.methods.quark.rig import UNSEEN, Rig
from novelview.rendering.compiled import array, compiled, inlined
from novelview.rendering.layers import IN_FRONT, NOWHERE

# Pixels of a row that are worked on together, and rows that a thread takes at once.
STRETCH, ROWS_AT_ONCE = 128, 16
# Each colour has 21 bits of a packed pixel: 10 of its own and 11 of a bilinear weight.
_LANE, _BRIGHTEST, _WHOLE = 21, np.float32(1023), 2048
_MASK = (1 << _LANE) - 1
# Of the arrays' precision: any other constant would turn the arithmetic into that of doubles.
_ZERO, _HALF, _ONE, _TWO, _SCALE = (np.float32(number) for number in (0, 0.5, 1, 2, _WHOLE))
_UNSEEN, _IN_FRONT, _NOWHERE = (np.float32(number) for number in (UNSEEN, IN_FRONT, NOWHERE))
_LOWEST, _FLOOR = np.float32(-1e30), np.float32(-80)
_LOG2_E, _LN_2 = np.float32(1.44269504), np.float32(0.69314718)
_SIXTH, _24TH, _120TH = (np.float32(1 / number) for number in (6, 24, 120))
# An index that cannot be negative needs no check whether it counts from the end.
_NEXT = np.uint64(1)


def picture(
    layers: Layers,
    photographs: Float[Tensor, "b m 3 p q"],
    rig: Rig,
    xy: Float[Tensor, "b h w 2"],
    least: float = LEAST,
) -> Picture:
    """See :func:`novelview.methods.quark.picture.picture`; without gradients, colours to about 1/1000.

    Args:
        layers, photographs, rig, xy: as there; colours in [0, 1].
        least: in place of ``LEAST``.
    """
    logits = torch.cat([layers.depth[:, :, None], layers.blend], dim=2)
    opacities, tables = layers.alpha.permute(0, 2, 3, 1), logits.permute(0, 3, 4, 1, 2).flatten(3)
    band = (rig.near - rig.far) / logits.shape[1]
    projections = rig.projections()
    cameras = torch.cat([projections.turn, projections.shift[..., None]], dim=-1)
    count, height, width, _ = xy.shape
    rgb, disparity = xy.new_empty(count, height, width, 3), xy.new_empty(count, height, width)
    packed = _packed(photographs)
    calls = []
    for i in range(count):
        scene = (array(each[i]) for each in (opacities, tables, cameras, rig.weights))
        shared = (*scene, packed[i], np.array([rig.far[i], band[i], least], dtype=np.float32))
        for first in range(0, height, ROWS_AT_ONCE):
            part = (i, slice(first, first + ROWS_AT_ONCE))
            points = array(xy[part].transpose(1, 2))
            calls.append((*shared, points, rgb[part].numpy(), disparity[part].numpy()))
    _in_threads(_rows, calls)
    return Picture(rgb.permute(0, 3, 1, 2), disparity)


def _packed(photographs: Float[Tensor, "b m 3 p q"]) -> np.ndarray:
    """One number per pixel; the last row and column are there twice, so that every pixel has a next one."""
    *counts, _, height, width = photographs.shape
    packed = np.empty((*counts, height + 1, width + 1), dtype=np.int64)
    pixels = packed.reshape(-1, height + 1, width + 1)
    _in_threads(_pack, zip(map(array, photographs.flatten(0, 1)), pixels, strict=True))
    return packed


def _in_threads(function: Callable[..., Any], calls: Iterable[tuple[Any, ...]]) -> None:
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        for running in [pool.submit(function, *call) for call in calls]:
            running.result()


@compiled
def _pack(photograph, packed):  # type: ignore[no-untyped-def]
    _, height, width = photograph.shape
    for y in range(height):
        red, green, blue = photograph[0, y], photograph[1, y], photograph[2, y]
        for x in range(width):
            low, middle = np.int64(red[x] * _BRIGHTEST + _HALF), np.int64(green[x] * _BRIGHTEST + _HALF)
            packed[y, x] = low | middle << _LANE | np.int64(blue[x] * _BRIGHTEST + _HALF) << 2 * _LANE
        packed[y, width] = packed[y, width - 1]
    packed[height] = packed[height - 1]


@inlined
def _exp(x):  # type: ignore[no-untyped-def]
    """e to the power of something not above 0: a power of two by its bits, and a short series."""
    power = max(x, _FLOOR) * _LOG2_E
    whole = np.floor(power + _HALF)
    y = (power - whole) * _LN_2
    series = _ONE + y * (_ONE + y * (_HALF + y * (_SIXTH + y * (_24TH + y * _120TH))))
    return series * np.int32((np.int32(whole) + np.int32(127)) << np.int32(23)).view(np.float32)


@inlined
def _sigmoid(x):  # type: ignore[no-untyped-def]
    larger = _ONE / (_ONE + _exp(-abs(x)))
    return larger if x > _ZERO else _ONE - larger


@inlined
def _clamped(x, most):  # type: ignore[no-untyped-def]
    """Between 0 and ``most``; 0 where it is not a number, so that nothing is ever looked up beyond an array."""
    positive = x if x > _ZERO else _ZERO
    return min(positive, most)


@inlined
def _corner(place, count):  # type: ignore[no-untyped-def]
    """The first of the two pixels around a place, in parts of an axis of ``count``, and the second one's share."""
    at = _clamped(place * np.float32(count) - _HALF, np.float32(count - 1))
    first = np.int64(at)
    return first, at - np.float32(first)


@compiled
def _interpolate(table, points, n, start, found):  # type: ignore[no-untyped-def]
    """Bilinear values of the logits from ``start`` on at ``n`` points; found: (logits, points)."""
    rows, columns, _ = table.shape
    for j in range(n):
        left, u = _corner(points[0, j], columns)
        up, v = _corner(points[1, j], rows)
        right, down = min(left + 1, columns - 1), min(up + 1, rows - 1)
        b, c, d = u * (_ONE - v), (_ONE - u) * v, u * v
        a = _ONE - b - c - d
        for k in range(len(found)):
            above = a * table[up, left, start + k] + b * table[up, right, start + k]
            found[k, j] = above + c * table[down, left, start + k] + d * table[down, right, start + k]


@compiled
def _visible(opacity, layer, light, points, n, least, weight, here, places):  # type: ignore[no-untyped-def]
    """Moves the points that see a layer to ``here``, with the layer's weight and their place; returns their number."""
    for j in range(n):
        weight[j] = light[j] * (_sigmoid(opacity[layer, j]) if layer else _ONE)
        light[j] -= weight[j]
    count = 0
    for j in range(n):
        here[0, count], here[1, count] = points[0, j], points[1, j]
        weight[count], places[count] = weight[j], j
        # What is not a number is to be seen.
        count += 0 if weight[j] <= least else 1
    return count


@compiled
def _met(logits, layer, far, band, n, disparity):  # type: ignore[no-untyped-def]
    """Disparities of a layer."""
    for j in range(n):
        disparity[j] = far + (np.float32(layer) + _sigmoid(_TWO * logits[0, j])) * band


@compiled
def _affine(points, disparity, cameras, m, k, n, found):  # type: ignore[no-untyped-def]
    """A homogeneous coordinate of where a view sees the points."""
    a, b, c, d = cameras[m, k]
    for j in range(n):
        found[m, j] = a * points[0, j] + b * points[1, j] + c + d * disparity[j]


@compiled
def _seen(x, y, z, weights, m, n, best):  # type: ignore[no-untyped-def]
    """Where a view sees the points, whether it does, in place of ``z``, and the best weight until now of those that do."""
    for j in range(n):
        scale = _ONE / max(z[m, j], _IN_FRONT)
        x[m, j] = x[m, j] * scale if z[m, j] > _IN_FRONT else _NOWHERE
        y[m, j] = y[m, j] * scale if z[m, j] > _IN_FRONT else _NOWHERE
    for j in range(n):
        across, along = x[m, j], y[m, j]
        inside = min(min(across, _ONE - across), min(along, _ONE - along)) > _ZERO
        z[m, j] = _ONE if inside else _ZERO
    for j in range(n):
        best[j] = max(best[j], weights[m] * z[m, j])


@compiled
def _softmax(logits, seen, weights, best, n, share, most, whole):  # type: ignore[no-untyped-def]
    """The views' shares, not yet divided by ``whole``; see :meth:`novelview.methods.quark.rig.Rig.say`."""
    most[:n], whole[:n] = _LOWEST, _ZERO
    for m in range(len(share)):
        for j in range(n):
            most[j] = max(most[j], logits[1 + m, j])
    for m in range(len(share)):
        for j in range(n):
            elsewhere = max(_ONE - best[j], _UNSEEN)
            factor = weights[m] * (seen[m, j] + (_ONE - seen[m, j]) * elsewhere)
            share[m, j] = factor * _exp(logits[1 + m, j] - most[j])
        for j in range(n):
            whole[j] += share[m, j]


@compiled
def _parts(share, m, whole, weight, least, n, chosen):  # type: ignore[no-untyped-def]
    """A view's parts in the pixels' colours, in place of its share; which are worth a look, and their number."""
    for j in range(n):
        share[m, j] *= weight[j] / whole[j]
    count = 0
    for j in range(n):
        chosen[count] = j
        count += 0 if share[m, j] <= least else 1
    return count


@compiled
def _add(pixels, x, y, part, m, chosen, n, places, sums):  # type: ignore[no-untyped-def]
    """Adds a view's part to the colours; sums: (points, red, green, blue and the sum of the parts, …)."""
    _, rows, columns = pixels.shape
    wide, high, below = np.float32(columns - 1), np.float32(rows - 1), np.uint64(columns)
    flat = pixels.reshape(len(pixels), rows * columns)
    for i in range(n):
        j = chosen[i]
        across, along = (
            _clamped(x[m, j] * wide - _HALF, wide - _ONE),
            _clamped(y[m, j] * high - _HALF, high - _ONE),
        )
        left, up = np.int32(across), np.int32(along)
        u, v = _SCALE * (across - np.float32(left)), along - np.float32(up)
        corner = np.int32(u * v + _HALF)
        d = np.int64(corner)
        b, c = np.int64(np.int32(u + _HALF) - corner), np.int64(np.int32(_SCALE * v + _HALF) - corner)
        first = np.uint64(np.int64(up) * columns + left)
        mixed = (_WHOLE - b - c - d) * flat[m, first] + b * flat[m, first + _NEXT]
        mixed += c * flat[m, first + below] + d * flat[m, first + below + _NEXT]
        k, share = places[j], part[m, j]
        sums[k, 0] += share * np.float32(np.int32(mixed & _MASK))
        sums[k, 1] += share * np.float32(np.int32((mixed >> _LANE) & _MASK))
        sums[k, 2] += share * np.float32(np.int32(mixed >> 2 * _LANE))
        sums[k, 3] += share


@compiled
def _layer(  # type: ignore[no-untyped-def]
    logits, layer, cameras, weights, pixels, ends, seen, work, rows, sums
):
    """Adds what a layer shows to the sums, the last two for disparity; work: (4, views, points), rows: (4, points)."""
    x, y, z, share = work
    met, best, most, whole = rows
    here, weight, numbers, n = seen
    places, chosen = numbers
    far, band, least = ends
    _met(logits, layer, far, band, n, met)
    best[:n] = _ZERO
    for m in range(len(pixels)):
        _affine(here, met, cameras, m, 0, n, x)
        _affine(here, met, cameras, m, 1, n, y)
        _affine(here, met, cameras, m, 2, n, z)
        _seen(x, y, z, weights, m, n, best)
    _softmax(logits, z, weights, best, n, share, most, whole)
    for m in range(len(pixels)):
        count = _parts(share, m, whole, weight, least, n, chosen)
        _add(pixels, x, y, share, m, chosen, count, places, sums)
    for j in range(n):
        sums[places[j], 4] += weight[j] * met[j]
        sums[places[j], 5] += weight[j]


@compiled
def _rows(  # type: ignore[no-untyped-def]
    opacities, table, cameras, weights, pixels, ends, xy, rgb, disparity
):
    views, layers = len(pixels), opacities.shape[2]
    opacity = np.empty((layers, STRETCH), dtype=np.float32)
    logits = np.empty((1 + views, STRETCH), dtype=np.float32)
    points, here = np.empty((2, 2, STRETCH), dtype=np.float32)
    light, weight = np.empty((2, STRETCH), dtype=np.float32)
    numbers, sums = np.empty((2, STRETCH), dtype=np.uint64), np.empty((STRETCH, 6), dtype=np.float32)
    work, rows = np.empty((4, views, STRETCH), dtype=np.float32), np.empty((4, STRETCH), dtype=np.float32)
    for i in range(len(xy)):
        for first in range(0, xy.shape[2], STRETCH):
            n = min(STRETCH, xy.shape[2] - first)
            points[:, :n] = xy[i, :, first : first + n]
            light[:], sums[:] = _ONE, _ZERO
            _interpolate(opacities, points, n, 0, opacity)
            for layer in range(layers - 1, -1, -1):
                count = _visible(opacity, layer, light, points, n, ends[2], weight, here, numbers[0])
                if count:
                    _interpolate(table, here, count, layer * (1 + views), logits)
                    seen = (here, weight, numbers, count)
                    _layer(logits, layer, cameras, weights, pixels, ends, seen, work, rows, sums)
            for j in range(n):
                for c in range(3):
                    rgb[i, first + j, c] = sums[j, c] / (sums[j, 3] * _SCALE * _BRIGHTEST)
                disparity[i, first + j] = sums[j, 4] / sums[j, 5]

"""Fast path of :mod:`novelview.methods.quark.picture` on a CPU: every pixel from the nearest layer to the farthest.

Compiled by numba at first use and kept in its cache. What a pixel cannot show any more is not looked up: layers
that add less than ``LEAST_OPACITY`` to it, views that add less than ``LEAST_SHARE`` to a layer, and everything behind
what lets less than ``LEAST_LIGHT`` pass. The three together change a colour by less than one part in 255.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from novelview.methods.quark.network import Layers
from novelview.methods.quark.picture import Picture
from novelview.methods.quark.rig import UNSEEN, Rig
from novelview.rendering.compiled import array, compiled, inlined
from novelview.rendering.layers import IN_FRONT, NOWHERE

LEAST_OPACITY, LEAST_SHARE, LEAST_LIGHT = 1 / 1024, 1 / 512, 1 / 512
# Rows that a thread takes at once.
ROWS_AT_ONCE = 16
# Of the arrays' precision: any other constant would turn the arithmetic into that of doubles.
_ZERO, _HALF, _ONE, _TWO = (np.float32(number) for number in (0, 0.5, 1, 2))
_UNSEEN, _IN_FRONT, _NOWHERE = (np.float32(number) for number in (UNSEEN, IN_FRONT, NOWHERE))


def picture(
    layers: Layers,
    photographs: Float[Tensor, "b m 3 p q"],
    rig: Rig,
    xy: Float[Tensor, "b h w 2"],
    thresholds: tuple[float, float, float] = (LEAST_OPACITY, LEAST_SHARE, LEAST_LIGHT),
) -> Picture:
    """See :func:`novelview.methods.quark.picture.picture`; without gradients.

    Args:
        layers, photographs, rig, xy: as there.
        thresholds: in place of ``LEAST_OPACITY``, ``LEAST_SHARE`` and ``LEAST_LIGHT``.
    """
    logits = torch.cat([layers.depth[:, :, None], layers.alpha[:, :, None], layers.blend], dim=2)
    packed, colours = logits.permute(0, 3, 4, 1, 2), photographs.permute(0, 1, 3, 4, 2)
    projections, say = rig.projections(), rig.weights.log()
    count, height, width, _ = xy.shape
    rgb, disparity = xy.new_empty(count, height, width, 3), xy.new_empty(count, height, width)
    limits = np.array(thresholds, dtype=np.float32)
    calls = []
    for i in range(count):
        tables = (packed[i], colours[i], projections.turn[i], projections.shift[i], say[i])
        shared = (
            *(array(table) for table in tables),
            np.float32(rig.near[i]),
            np.float32(rig.far[i]),
            limits,
        )
        for first in range(0, height, ROWS_AT_ONCE):
            part = (i, slice(first, first + ROWS_AT_ONCE))
            calls.append((*shared, array(xy[part]), rgb[part].numpy(), disparity[part].numpy()))
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        for running in [pool.submit(_rows, *call) for call in calls]:
            running.result()
    return Picture(rgb.permute(0, 3, 1, 2), disparity)


@inlined
def _corners(place, count):  # type: ignore[no-untyped-def]
    """The two pixels around a place, in parts of an axis of ``count``, and the second one's share; borders go on."""
    at = min(max(place * count - _HALF, _ZERO), np.float32(count - 1))
    first = int(at)
    return first, min(first + 1, count - 1), at - np.float32(first)


@inlined
def _between(table, up, down, left, right, layer, channel, u, v):  # type: ignore[no-untyped-def]
    """Bilinear value of one logit."""
    a, b = table[up, left, layer, channel], table[up, right, layer, channel]
    c, d = table[down, left, layer, channel], table[down, right, layer, channel]
    above, below = a + u * (b - a), c + u * (d - c)
    return above + v * (below - above)


@compiled
def _shares(turned, shift, say, disparity, logits, places, share):  # type: ignore[no-untyped-def]
    """Where each view sees a point, and its share in the point's colour."""
    most = np.float32(-1e30)
    for m in range(len(share)):
        z = turned[m, 2] + disparity * shift[m, 2]
        x, y = _NOWHERE, _NOWHERE
        if z > _IN_FRONT:
            x = (turned[m, 0] + disparity * shift[m, 0]) / z
            y = (turned[m, 1] + disparity * shift[m, 1]) / z
        logit = logits[2 + m] + say[m]
        if not (x > _ZERO and x < _ONE and y > _ZERO and y < _ONE):
            logit += _UNSEEN
        places[m, 0], places[m, 1], share[m] = x, y, logit
        most = max(most, logit)
    whole = _ZERO
    for m in range(len(share)):
        share[m] = math.exp(share[m] - most)
        whole += share[m]
    for m in range(len(share)):
        share[m] /= whole


@compiled
def _blend(photographs, places, share, least_share):  # type: ignore[no-untyped-def]
    """Red, green and blue of a point, out of the views that have a share worth a look."""
    red, green, blue, used = _ZERO, _ZERO, _ZERO, _ZERO
    for m in range(len(share)):
        part = share[m]
        if part < least_share:
            continue
        used += part
        photograph = photographs[m]
        x0, x1, u = _corners(places[m, 0], photograph.shape[1])
        y0, y1, v = _corners(places[m, 1], photograph.shape[0])
        above, below = part * (_ONE - v), part * v
        for y, row in ((y0, above), (y1, below)):
            for x, weight in ((x0, row * (_ONE - u)), (x1, row * u)):
                red += weight * photograph[y, x, 0]
                green += weight * photograph[y, x, 1]
                blue += weight * photograph[y, x, 2]
    return red / used, green / used, blue / used


@compiled
def _rows(  # type: ignore[no-untyped-def]
    logits, photographs, turn, shift, say, near, far, limits, xy, rgb, disparity
):
    rows, columns, count, channels = logits.shape
    views = len(photographs)
    least_opacity, least_share, least_light = limits
    band = (near - far) / np.float32(count)
    here, share = np.empty(channels, dtype=np.float32), np.empty(views, dtype=np.float32)
    places, turned = np.empty((views, 2), dtype=np.float32), np.empty((views, 3), dtype=np.float32)
    for i in range(xy.shape[0]):
        for j in range(xy.shape[1]):
            x, y = xy[i, j, 0], xy[i, j, 1]
            left, right, u = _corners(x, columns)
            up, down, v = _corners(y, rows)
            for m in range(views):
                for k in range(3):
                    turned[m, k] = turn[m, k, 0] * x + turn[m, k, 1] * y + turn[m, k, 2]
            light, shown, depth = _ONE, _ZERO, _ZERO
            red, green, blue = _ZERO, _ZERO, _ZERO
            for layer in range(count - 1, -1, -1):
                weight = light
                if layer:
                    alpha = _between(logits, up, down, left, right, layer, 1, u, v)
                    weight = light / (_ONE + math.exp(-alpha))
                light -= weight
                if weight < least_opacity:
                    continue
                for c in range(channels):
                    here[c] = _between(logits, up, down, left, right, layer, c, u, v)
                inside = _HALF + _HALF * math.tanh(here[0])
                d = far + (np.float32(layer) + inside) * band
                _shares(turned, shift, say, d, here, places, share)
                r, g, b = _blend(photographs, places, share, least_share)
                shown += weight
                depth += weight * d
                red += weight * r
                green += weight * g
                blue += weight * b
                if light < least_light:
                    break
            # What was left out would have looked like the rest.
            rgb[i, j, 0], rgb[i, j, 1], rgb[i, j, 2] = red / shown, green / shown, blue / shown
            disparity[i, j] = depth / shown

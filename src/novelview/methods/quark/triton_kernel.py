"""Fast path of :mod:`novelview.methods.quark.picture` on CUDA: one program per tile of the picture.

Every tile goes from its nearest layer to its farthest and skips layers that none of its pixels sees any more, and views
that have next to no share in them. Photographs are packed into one 32-bit word per pixel, so that a look-up is one load;
this rounds colours to 8 bits. With ``TRITON_INTERPRET=1`` in the environment before the import it runs on a CPU, slowly.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from jaxtyping import Float, Int
from torch import Tensor

from novelview.methods.quark.network import Layers
from novelview.methods.quark.picture import LEAST, Picture
from novelview.methods.quark.rig import UNSEEN, Rig
from novelview.rendering.layers import IN_FRONT, NOWHERE

# A tile: wide enough for whole words of memory, high enough that neighbours share their look-ups.
TILE = (16, 32)


def picture(
    layers: Layers,
    photographs: Float[Tensor, "b m 3 p q"],
    rig: Rig,
    xy: Float[Tensor, "b h w 2"],
    tile: tuple[int, int] = TILE,
    least_weight: float = LEAST,
) -> Picture:
    """See :func:`novelview.methods.quark.picture.picture`; without gradients.

    Args:
        layers, photographs, rig, xy: as there.
        tile: height and width of a tile in pixels, powers of 2.
        least_weight: layers, and views of a layer, that count less for every pixel of a tile are left out of it.
    """
    logits = torch.cat([layers.depth[:, :, None], layers.alpha[:, :, None], layers.blend], dim=2)
    packed, words = logits.permute(0, 3, 4, 1, 2).contiguous(), packed_colours(photographs)
    projections, xy = rig.projections(), xy.float().contiguous()
    cameras = torch.cat([projections.turn.flatten(2), projections.shift, rig.weights[..., None]], dim=2)
    ends = torch.stack([rig.near, rig.far], dim=1).float().contiguous()
    count, height, width, _ = xy.shape
    rgb, disparity = xy.new_empty(count, 3, height, width), xy.new_empty(count, height, width)
    tiles = (triton.cdiv(width, tile[1]), triton.cdiv(height, tile[0]), count)
    rows, columns, depth_layers, channels = packed.shape[1:]
    _tile[tiles](
        packed,
        words,
        cameras.float().contiguous(),
        ends,
        xy,
        rgb,
        disparity,
        height,
        width,
        rows,
        columns,
        *words.shape[2:],
        least_weight,
        LAYERS=depth_layers,
        VIEWS=channels - 2,
        HIGH=tile[0],
        WIDE=tile[1],
        BEHIND=IN_FRONT,
        ELSEWHERE=NOWHERE,
        UNSEEN_VIEWS=UNSEEN,
    )
    return Picture(rgb, disparity)


def packed_colours(photographs: Float[Tensor, "b m 3 p q"]) -> Int[Tensor, "b m p q"]:
    """Red, green and blue at 8 bits in one 32-bit word each."""
    red, green, blue = (photographs.clamp(0, 1) * 255).round().to(torch.int32).unbind(2)
    return (red | (green << 8) | (blue << 16)).contiguous()


@triton.jit
def _corners(place, count):  # type: ignore[no-untyped-def]
    at = tl.minimum(tl.maximum(place * count - 0.5, 0.0), count - 1.0)
    first = at.to(tl.int32)
    return first, tl.minimum(first + 1, count - 1), at - first.to(tl.float32)


@triton.jit
def _mixed(table, up, down, x, y):  # type: ignore[no-untyped-def]
    """Bilinear values of a table, given pointers to the pairs of cells above and below: (left, right) each."""
    a, b = tl.load(table + up[0]).to(tl.float32), tl.load(table + up[1]).to(tl.float32)
    c, d = tl.load(table + down[0]).to(tl.float32), tl.load(table + down[1]).to(tl.float32)
    above, below = a + x * (b - a), c + x * (d - c)
    return above + y * (below - above)


@triton.jit
def _seen_at(cameras, m, x, y, d, BEHIND, ELSEWHERE):  # type: ignore[no-untyped-def]
    """Where view ``m`` sees points with disparity ``d``, and whether it does."""
    row = cameras + 13 * m
    u = tl.load(row) * x + tl.load(row + 1) * y + tl.load(row + 2) + d * tl.load(row + 9)
    v = tl.load(row + 3) * x + tl.load(row + 4) * y + tl.load(row + 5) + d * tl.load(row + 10)
    z = tl.load(row + 6) * x + tl.load(row + 7) * y + tl.load(row + 8) + d * tl.load(row + 11)
    front = z > BEHIND
    safe = tl.maximum(z, BEHIND)
    px, py = tl.where(front, u / safe, ELSEWHERE), tl.where(front, v / safe, ELSEWHERE)
    return px, py, (px > 0.0) & (px < 1.0) & (py > 0.0) & (py < 1.0)


@triton.jit
def _tile(  # type: ignore[no-untyped-def]
    logits,
    words,
    cameras,
    ends,
    xy,
    rgb,
    disparity,
    height,
    width,
    rows,
    columns,
    high,
    wide,
    least_weight,
    LAYERS: tl.constexpr,
    VIEWS: tl.constexpr,
    HIGH: tl.constexpr,
    WIDE: tl.constexpr,
    BEHIND: tl.constexpr,
    ELSEWHERE: tl.constexpr,
    UNSEEN_VIEWS: tl.constexpr,
):
    number = tl.program_id(2).to(tl.int64)
    pixel = tl.arange(0, HIGH * WIDE)
    i, j = tl.program_id(1) * HIGH + pixel // WIDE, tl.program_id(0) * WIDE + pixel % WIDE
    valid = (i < height) & (j < width)
    place = number * height * width + i * width + j
    x = tl.load(xy + 2 * place, mask=valid, other=0.5)
    y = tl.load(xy + 2 * place + 1, mask=valid, other=0.5)
    near, far = tl.load(ends + 2 * number), tl.load(ends + 2 * number + 1)
    channels: tl.constexpr = LAYERS * (VIEWS + 2)
    logits += number * rows * columns * channels
    words += number * VIEWS * high * wide
    cameras += number * VIEWS * 13
    left, right, s = _corners(x, columns)
    top, bottom, t = _corners(y, rows)
    up = ((top * columns + left) * channels, (top * columns + right) * channels)
    down = ((bottom * columns + left) * channels, (bottom * columns + right) * channels)
    light = tl.where(valid, 1.0, 0.0)
    red, green, blue, depth, shown = light * 0.0, light * 0.0, light * 0.0, light * 0.0, light * 0.0
    for step in range(LAYERS):
        layer = LAYERS - 1 - step
        here = logits + layer * (VIEWS + 2)
        weight = light
        if (layer > 0) & (tl.max(light, axis=0) > least_weight):
            weight = light * tl.sigmoid(_mixed(here + 1, up, down, s, t))
        light -= weight
        if tl.max(weight, axis=0) > least_weight:
            # 0.5 + 0.5 tanh(z) is sigmoid(2 z).
            place_in_band = tl.sigmoid(2.0 * _mixed(here, up, down, s, t))
            d = far + (layer + place_in_band) * (near - far) / LAYERS
            depth += weight * d
            shown += weight
            best = light * 0.0
            for m in range(VIEWS):
                _, _, inside = _seen_at(cameras, m, x, y, d, BEHIND, ELSEWHERE)
                best = tl.maximum(best, tl.where(inside, tl.load(cameras + 13 * m + 12), 0.0))
            elsewhere = tl.maximum(1.0 - best, UNSEEN_VIEWS)
            most, whole = light * 0.0 - 1e30, light * 0.0
            for m in range(VIEWS):
                _, _, inside = _seen_at(cameras, m, x, y, d, BEHIND, ELSEWHERE)
                factor = tl.load(cameras + 13 * m + 12) * tl.where(inside, 1.0, elsewhere)
                logit = _mixed(here + 2 + m, up, down, s, t)
                higher = tl.maximum(most, logit)
                whole = whole * tl.exp(most - higher) + factor * tl.exp(logit - higher)
                most = higher
            r, g, b, used = light * 0.0, light * 0.0, light * 0.0, light * 0.0
            for m in range(VIEWS):
                px, py, inside = _seen_at(cameras, m, x, y, d, BEHIND, ELSEWHERE)
                factor = tl.load(cameras + 13 * m + 12) * tl.where(inside, 1.0, elsewhere)
                part = factor * tl.exp(_mixed(here + 2 + m, up, down, s, t) - most) / whole
                if tl.max(part * weight, axis=0) > least_weight:
                    x0, x1, a = _corners(px, wide)
                    y0, y1, c = _corners(py, high)
                    image = words + m * high * wide
                    used += part
                    for corner in tl.static_range(4):
                        row, column = (y1 if corner // 2 else y0), (x1 if corner % 2 else x0)
                        share = (
                            part * (c if corner // 2 else 1.0 - c) * (a if corner % 2 else 1.0 - a) / 255.0
                        )
                        word = tl.load(image + row * wide + column)
                        r += share * (word & 255).to(tl.float32)
                        g += share * ((word >> 8) & 255).to(tl.float32)
                        b += share * ((word >> 16) & 255).to(tl.float32)
            full = weight / tl.maximum(used, 1e-6)
            red += full * r
            green += full * g
            blue += full * b
    # What was left out would have looked like the rest.
    shown = tl.maximum(shown, 1e-6)
    out = rgb + number * 2 * height * width + place
    tl.store(out, red / shown, mask=valid)
    tl.store(out + height * width, green / shown, mask=valid)
    tl.store(out + 2 * height * width, blue / shown, mask=valid)
    tl.store(disparity + place, depth / shown, mask=valid)

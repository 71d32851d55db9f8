"""Run by tests: the Triton kernel against the readable renderer, on CUDA or interpreted on a CPU."""

from __future__ import annotations

import os
import sys

DEVICE = sys.argv[1]
if DEVICE == "cpu":
    os.environ["TRITON_INTERPRET"] = "1"

from test_quark_renderers import Case, case, difference  # noqa: E402

from novelview.methods.quark import triton_kernel  # noqa: E402
from novelview.methods.quark.network import Layers  # noqa: E402
from novelview.methods.quark.picture import LEAST, Picture, picture  # noqa: E402


def shown(arguments: Case, tile: tuple[int, int], least_weight: float) -> Picture:
    """What the kernel makes of it."""
    layers, photographs, rig, xy = arguments
    there = Layers(*(each.to(DEVICE) for each in (layers.depth, layers.alpha, layers.blend)))
    inputs = (there, photographs.to(DEVICE), rig.to(there.depth), xy.to(DEVICE))
    found = triton_kernel.picture(*inputs, tile=tile, least_weight=least_weight)
    return Picture(found.rgb.cpu(), found.disparity.cpu())


# Interpreted, each program takes a tenth of a second: tiles as large as the picture.
for arguments in (case(), case(count=2), case(layers=1, views=1), case(views=5, turn=3.0), case(ahead=2.0)):
    expected = picture(*arguments)
    rgb, disparity = difference(shown(arguments, (32, 64), 0.0), expected)
    # Photographs are rounded to 8 bits.
    assert rgb <= 0.6 / 255, rgb
    assert disparity < 1e-5, disparity
    assert difference(shown(arguments, (16, 16), LEAST), expected)[0] <= 2 / 255

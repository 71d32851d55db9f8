"""Losses of images that need no weights."""

from __future__ import annotations

import pytest
import torch

from novelview.nn.losses import gradient_error
from novelview.random import generator_for


def test_gradient_error_sees_edges_and_not_brightness() -> None:
    image = torch.rand(1, 3, 16, 16, generator=generator_for(0))
    assert float(gradient_error(image, image)) == 0
    assert float(gradient_error(image + 0.1, image)) < 1e-6
    edge = torch.zeros(1, 1, 16, 16)
    edge[..., 7:] = 1
    # One column of 15 differs by 1 at full size; after halving, two columns of 7 by a half; then one of 3 by 3/4 + 1/4.
    assert float(gradient_error(edge.expand(1, 3, 16, 16), torch.zeros(1, 3, 16, 16))) == pytest.approx(
        1 / 15 + 1 / 7 + 1 / 3
    )

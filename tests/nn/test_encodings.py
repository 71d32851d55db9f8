"""The frequency encoding against its formula and against recorded values."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from novelview.nn.encodings import frequency_encoding, frequency_width, grouped_frequency_encoding


def test_encoding_follows_the_formula() -> None:
    x = [0.3, -1.2]
    expected = list(x)
    for octave in range(3):
        expected += [math.sin(2**octave * v) for v in x] + [math.cos(2**octave * v) for v in x]
    encoded = frequency_encoding(torch.tensor([x], dtype=torch.float64), 3)
    torch.testing.assert_close(encoded, torch.tensor([expected], dtype=torch.float64))
    assert encoded.shape[-1] == frequency_width(2, 3)


def test_no_octaves_leave_the_input_alone() -> None:
    x = torch.rand(4, 2, 3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(frequency_encoding(x, 0), x)


@pytest.mark.parametrize("octaves", [4, 10])
def test_encoding_gives_the_recorded_values(shared: Path, octaves: int) -> None:
    with np.load(shared / "fixtures/r2l/a/functions.npz") as recorded:
        x, expected = (torch.from_numpy(recorded[name]) for name in ("embed_in", f"nerf_embed{octaves}"))
    torch.testing.assert_close(frequency_encoding(x, octaves), expected, atol=1e-6, rtol=0)


def test_grouped_encoding_follows_the_formula() -> None:
    x = [0.3, -1.2]
    expected = []
    for v in x:
        expected += [math.sin(2**octave * v) for octave in range(3)]
        expected += [math.cos(2**octave * v) for octave in range(3)] + [v]
    encoded = grouped_frequency_encoding(torch.tensor([x], dtype=torch.float64), 3)
    torch.testing.assert_close(encoded, torch.tensor([expected], dtype=torch.float64))


def test_both_encodings_have_the_same_values(generator: torch.Generator) -> None:
    x = torch.randn(4, 2, 5, generator=generator)
    one, other = frequency_encoding(x, 6), grouped_frequency_encoding(x, 6)
    assert one.shape == other.shape
    torch.testing.assert_close(one.sort(dim=-1).values, other.sort(dim=-1).values)
    assert torch.equal(grouped_frequency_encoding(x, 0), x)


def test_grouped_encoding_gives_the_recorded_values(shared: Path) -> None:
    with np.load(shared / "fixtures/r2l/a/functions.npz") as recorded:
        x, expected = (torch.from_numpy(recorded[name]) for name in ("embed_in", "r2l_embed5"))
    torch.testing.assert_close(grouped_frequency_encoding(x, 5), expected, atol=1e-6, rtol=0)

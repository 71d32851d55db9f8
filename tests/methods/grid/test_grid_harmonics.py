"""Spherical harmonics: against stated invariants."""

from __future__ import annotations

import torch

from novelview.methods.grid.harmonics import harmonics


def test_harmonics_are_orthogonal_on_the_sphere(generator: torch.Generator) -> None:
    basis = harmonics(torch.randn(100_000, 3, generator=generator), 2)
    products = basis.T @ basis / len(basis)
    size = products.diagonal().sqrt()
    torch.testing.assert_close(products / size / size[:, None], torch.eye(9), atol=0.02, rtol=0)

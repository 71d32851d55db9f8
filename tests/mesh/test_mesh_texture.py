"""Textures: what is seen is the colour of the place."""

from __future__ import annotations

import pytest
import torch
from analytic import boxes, meshed, rainbow, sphere, torus

from novelview.errors import ConfigError
from novelview.mesh.simplify import simplified
from novelview.mesh.texture import textured

pytest.importorskip("xatlas", reason="the extra mesh is not installed")
pytest.importorskip("skimage", reason="the extra mesh is not installed")
pytest.importorskip("fast_simplification", reason="the extra mesh is not installed")


@pytest.mark.parametrize("shape", [sphere, torus, boxes], ids=lambda shape: shape.__name__)
def test_a_texture_has_the_colour_of_every_place(shape: object, generator: torch.Generator) -> None:
    """Up to what colours change within two texels; at the edges of faces, where seams are, as well."""
    mesh = simplified(meshed(shape, 48)[0], 2000)
    made = textured(mesh, rainbow, 512)
    assert made.texture is not None
    assert made.colours is None
    assert max(made.texture.image.shape) == 512
    assert made.is_watertight
    face = torch.multinomial(mesh.face_areas, 20_000, replacement=True, generator=generator)
    share = torch.rand(len(face), 3, generator=generator)
    share[:5000, 0] = 0
    share = share / share.sum(dim=-1, keepdim=True)
    expected = rainbow((mesh.corners[face] * share[..., None]).sum(dim=1))
    error = (made.texture.sampled(face, share) - expected).abs()
    # The atlas uses half of its texels at least, and no colour changes by more than 1.5 per unit along an axis.
    texel = (float(mesh.face_areas.sum()) / (0.5 * 512**2)) ** 0.5
    assert float(error.max()) < 2 * texel * 1.5 * 3**0.5
    assert float(error.mean()) < 1e-3


def test_faces_smaller_than_a_texel_have_their_colours_too(generator: torch.Generator) -> None:
    mesh, _ = meshed(sphere, 32)
    made = textured(mesh, rainbow, 32)
    assert made.texture is not None
    face = torch.randint(len(mesh.faces), (5000,), generator=generator)
    share = torch.full((len(face), 3), 1 / 3)
    error = (made.texture.sampled(face, share) - rainbow(mesh.corners[face].mean(dim=1))).abs()
    assert float(error.mean()) < 0.05


def test_tiny_pictures_are_refused() -> None:
    with pytest.raises(ConfigError, match="too small"):
        textured(meshed(sphere, 16)[0], rainbow, 8)

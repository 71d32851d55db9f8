"""Meshes of fewer faces."""

from __future__ import annotations

import pytest
import torch
from analytic import VOLUMES, boxes, meshed, sphere, torus

from novelview.errors import ConfigError
from novelview.mesh.mesh import Mesh
from novelview.mesh.simplify import simplified

pytest.importorskip("fast_simplification", reason="the extra mesh is not installed")
pytest.importorskip("skimage", reason="the extra mesh is not installed")


@pytest.fixture(scope="module", params=[sphere, torus, boxes], ids=lambda shape: shape.__name__)
def whole(request: pytest.FixtureRequest) -> tuple[Mesh, float]:
    return meshed(request.param, 64)[0], VOLUMES[request.param]


@pytest.mark.parametrize("faces", [5000, 1000])
def test_smooth_shapes_stay_closed_and_as_large(whole: tuple[Mesh, float], faces: int) -> None:
    mesh, volume = whole
    fewer = simplified(mesh, faces)
    assert 0.9 * faces <= len(fewer.faces) <= faces
    assert fewer.is_watertight
    assert fewer.volume == pytest.approx(volume, rel=0.02)
    assert fewer.faces.dtype == torch.int64


def test_a_mesh_of_few_faces_is_left_alone(whole: tuple[Mesh, float]) -> None:
    assert simplified(whole[0], 10**6) is whole[0]


def test_too_few_faces_are_refused(whole: tuple[Mesh, float]) -> None:
    with pytest.raises(ConfigError, match="cannot have 3 faces"):
        simplified(whole[0], 3)

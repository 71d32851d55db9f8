"""Marching cubes on a lattice that is fine only where the surface is."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from analytic import LOWER, UPPER, VOLUMES, boxes, meshed, sphere, torus
from torch import Tensor

from novelview.errors import ConfigError, MethodError
from novelview.mesh.extract import Lattice, extract_mesh, sampled
from novelview.mesh.mesh import Mesh
from novelview.methods.dvr.decoder import Decoder

pytest.importorskip("skimage", reason="the extra mesh is not installed")


@pytest.mark.parametrize("shape", VOLUMES)
def test_shapes_are_closed_and_as_large_as_they_are(shape: object) -> None:
    mesh, lattice = meshed(shape, 64)
    assert mesh.is_watertight
    assert mesh.volume == pytest.approx(VOLUMES[shape], rel=0.02)
    assert float(shape(mesh.vertices).abs().max()) < float(lattice.step.min())


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("refinements", [0, 2])
def test_whatever_the_field_the_mesh_is_closed(seed: int, refinements: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    waves, phases = 12 * torch.randn(20, 3, generator=generator), 6 * torch.rand(20, generator=generator)
    cells = 32 >> refinements
    mesh = extract_mesh(
        lambda points: (points @ waves.T + phases).sin().sum(dim=-1),
        Lattice(LOWER, UPPER, (cells, cells // 2, cells), refinements),
    )
    assert mesh.is_watertight
    assert 0 < mesh.volume < 8
    assert bool((mesh.vertices.abs() <= 1 + 1e-5).all())


def test_normals_point_outwards() -> None:
    mesh, _ = meshed(torus)
    points = mesh.vertices.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(torus(points).sum(), points)
    assert float((mesh.vertex_normals * -gradient).sum(dim=-1).min()) > 0.9


def test_values_are_those_of_a_full_lattice_wherever_the_surface_passes() -> None:
    lattice = Lattice.of_resolution(LOWER, UPPER, 64)
    values = sampled(boxes, lattice, device="cpu", points_at_once=1000)[1:-1, 1:-1, 1:-1]
    axes = torch.cartesian_prod(*(torch.arange(count + 1) for count in lattice.final))
    full = boxes(lattice.points(axes)).reshape(values.shape)
    assert torch.equal(values >= 0, full >= 0)
    for axis in range(3):
        here, there = full.narrow(axis, 0, 64), full.narrow(axis, 1, 64)
        crossed = (here > 0) != (there > 0)
        torch.testing.assert_close(values.narrow(axis, 0, 64)[crossed], here[crossed], rtol=0, atol=0)
        torch.testing.assert_close(values.narrow(axis, 1, 64)[crossed], there[crossed], rtol=0, atol=0)


def test_few_points_are_asked_and_few_at_a_time() -> None:
    asked = []

    def field(points: Tensor) -> Tensor:
        asked.append(len(points))
        return sphere(points)

    lattice = Lattice.of_resolution(LOWER, UPPER, 128)
    mesh = extract_mesh(field, lattice, points_at_once=5000)
    assert max(asked) <= 5000
    assert sum(asked) < 0.1 * 129**3
    assert len(mesh.vertices) > 10_000


def test_a_surface_that_leaves_the_box_is_closed_by_its_sides() -> None:
    lattice = Lattice.of_resolution((-1.0, -1.0, 0.0), (1.0, 1.0, 0.5), 64)
    mesh = extract_mesh(sphere, lattice)
    assert mesh.is_watertight
    # A zone of the ball: integral of pi (r^2 - z^2) over z.
    assert mesh.volume == pytest.approx(math.pi * (0.36 * 0.5 - 0.5**3 / 3), rel=0.02)
    torch.testing.assert_close(mesh.vertices[:, 2].aminmax()[0], torch.tensor(0.0), atol=1e-5, rtol=0)
    torch.testing.assert_close(mesh.vertices[:, 2].aminmax()[1], torch.tensor(0.5), atol=1e-5, rtol=0)


def test_a_lattice_has_cubic_cells_and_the_stated_resolution() -> None:
    lattice = Lattice.of_resolution((0.0, 0.0, 0.0), (4.0, 2.0, 1.0), 256)
    assert lattice == Lattice((0.0, 0.0, 0.0), (4.0, 2.0, 1.0), (32, 16, 8), 3)
    assert lattice.final == (256, 128, 64)
    assert lattice.step.tolist() == [4 / 256] * 3
    assert Lattice.of_resolution(LOWER, UPPER, 20).final == (20, 20, 20)
    assert Lattice.of_resolution(LOWER, UPPER, 100).final == (100, 100, 100)


@pytest.mark.parametrize(
    ("field", "error", "said"),
    [
        (lambda points: sphere(points) - 5, MethodError, "There is no surface in the box"),
        (lambda points: sphere(points) + 5, MethodError, "it is inside"),
        (lambda points: sphere(points) * math.nan, MethodError, "no number"),
    ],
)
def test_fields_without_a_surface_are_refused(field: object, error: type, said: str) -> None:
    with pytest.raises(error, match=said):
        meshed(field, 16)


def test_boxes_and_resolutions_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ConfigError, match="makes no mesh"):
        Lattice.of_resolution(LOWER, UPPER, 1)
    with pytest.raises(ConfigError, match="has no volume"):
        Lattice.of_resolution(UPPER, LOWER, 32)


@pytest.mark.parametrize("case", ["uncond", "cond"])
def test_as_the_authors_code_does_it(case: str, shared: Path) -> None:
    """Points asked, vertices, colours; faces cut the same polygons, with other diagonals."""
    folder = shared / "fixtures" / "dvr" / "a"
    facts = json.loads((folder / "config.json").read_text())["cases"][case]
    rendered, expected = np.load(folder / f"render_{case}.npz"), np.load(folder / f"mesh_{case}.npz")
    decoder = Decoder(facts["hidden"], facts["n_blocks"], facts["c_dim"])
    prefix = "weights/decoder."
    weights = {name[len(prefix) :]: torch.tensor(rendered[name]) for name in rendered if prefix in name}
    decoder.load_state_dict(weights)
    code = torch.tensor(rendered["c"][0]) if facts["c_dim"] else None
    asked = []

    def field(points: Tensor) -> Tensor:
        asked.append(len(points))
        return decoder(points, code)[:, 0]

    half, cells = (1 + facts["mesh"]["padding"]) / 2, facts["mesh"]["resolution0"]
    lattice = Lattice((-half,) * 3, (half,) * 3, (cells,) * 3, facts["mesh"]["upsampling"])
    mesh = extract_mesh(field, lattice)
    assert asked == expected["mise_query_counts"].tolist()
    truth = Mesh(torch.tensor(expected["vertices"]), torch.tensor(expected["faces"]).long())
    distance, nearest = torch.cdist(mesh.vertices.double(), truth.vertices).min(dim=1)
    assert float(distance.max()) < 2e-7
    assert torch.equal(nearest.sort()[0], torch.arange(len(truth.vertices)))
    assert len(mesh.faces) == len(truth.faces)
    assert mesh.is_watertight
    assert mesh.volume == pytest.approx(truth.volume, rel=1e-3)
    same = Mesh(truth.vertices, nearest[mesh.faces])
    assert _across_cells(same, lattice) == _across_cells(truth, lattice)
    colours = torch.sigmoid(decoder(mesh.vertices, code)[:, 1:]) * 255
    found = colours.detach().numpy().astype(np.uint8)
    assert np.array_equal(found, expected["vertex_colors"][nearest, :3])


def _across_cells(mesh: Mesh, lattice: Lattice) -> set[tuple[int, int]]:
    """Edges between faces of different cells, without those in the sides of the box."""
    places = (mesh.vertices - torch.tensor(lattice.lower).double()) / lattice.step
    outermost = torch.minimum(places, torch.tensor(lattice.final) - places).amin(dim=-1) < 1e-3
    mesh = Mesh(mesh.vertices, mesh.faces[~outermost[mesh.faces].all(dim=1)])
    cell = places[mesh.faces].mean(dim=1).floor().long()
    seen: dict[tuple[int, int], set[tuple[int, ...]]] = {}
    for face, where in zip(mesh.faces.tolist(), cell.tolist(), strict=True):
        for start, end in zip(face, [*face[1:], face[0]], strict=True):
            seen.setdefault((min(start, end), max(start, end)), set()).add(tuple(where))
    return {edge for edge, cells in seen.items() if len(cells) == 2}

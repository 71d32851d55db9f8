"""``novelview export --to glb``, ``ply`` and ``obj``, with a method whose surface is known."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from novelview.cameras.cameras import Cameras
from novelview.cli.main import main
from novelview.cli.options import MethodOptions
from novelview.data.open import open_scene
from novelview.data.procedural import write_capture
from novelview.data.scene import Scene
from novelview.methods.method import Loss, Method
from novelview.random import Draws
from novelview.surface import ImplicitSurface
from novelview.types import Batch, Bounds, Frames, Views

trimesh = pytest.importorskip("trimesh", reason="the extra mesh is not installed")
pytest.importorskip("skimage", reason="the extra mesh is not installed")
pytest.importorskip("xatlas", reason="the extra mesh is not installed")

RADIUS = 0.3


class Ball(Method):
    """As much of a method as an export needs: a ball at the scene's origin, coloured by its normals."""

    def __init__(self, radius: float = RADIUS) -> None:
        super().__init__()
        self.radius = nn.Parameter(torch.tensor(radius))

    def condition(self, views: Views, bounds: Bounds) -> str:
        return "state"

    def render(self, state: Any, cameras: Cameras) -> Frames:
        raise NotImplementedError

    def loss(self, batch: Batch, step: int, draws: Draws) -> Loss:
        raise NotImplementedError

    def surface(self, state: Any) -> ImplicitSurface:
        assert state == "state"

        def field(points: Tensor) -> Tensor:
            return self.radius - points.norm(dim=-1)

        return ImplicitSurface(field, lambda points, normals: (normals + 1) / 2, (-0.5,) * 3, (0.5,) * 3)


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """The scene that the command finds, for whatever run it is told."""
    found = open_scene(write_capture(tmp_path / "toy", "object", 10, views=10, size=24))
    traits = SimpleNamespace(exports=frozenset({"mesh"}))
    info = SimpleNamespace(spec=SimpleNamespace(title="Ball", traits=traits))
    monkeypatch.setattr(MethodOptions, "load", lambda self, device: (Ball(), info, tmp_path / "run"))
    monkeypatch.setattr("novelview.cli.export.scene_to_show", lambda run, info, options: found)
    monkeypatch.setattr("novelview.cli.export.folder_for", lambda run, info, scene: run)
    return found


def test_a_mesh_is_in_the_captures_coordinates(
    scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "run", "--to", "ply", "--resolution", "40"]) == 0
    found = trimesh.load_mesh(tmp_path / "run" / "mesh.ply", process=False)
    size = 2 * RADIUS * scene.to_input.scale
    said = " ".join(capsys.readouterr().out.split())
    assert f"({len(found.vertices):,} vertices, {len(found.faces):,} faces, watertight, " in said
    assert scene.to_input.scale != 1
    centre = scene.to_input.points(torch.zeros(1, 3))[0].numpy()
    distances = np.linalg.norm(found.vertices - centre, axis=1)
    assert np.median(np.abs(distances - size / 2)) < 1e-5 * size
    np.testing.assert_allclose(distances, size / 2, rtol=2e-3)
    normals = (found.vertices - centre) / (size / 2) @ scene.to_input.rotation.numpy()
    np.testing.assert_allclose(found.visual.vertex_colors[:, :3] / 255, (normals + 1) / 2, atol=0.01)


def test_a_textured_mesh_of_few_faces_with_a_picture_to_check_it(
    scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--resolution", "40", "--faces", "500", "--texture", "128", "--check"]
    assert main(["export", "run", "--to", "glb", *words, "--out", str(tmp_path / "ball.glb")]) == 0
    found = trimesh.load_mesh(tmp_path / "ball.glb", process=False)
    assert len(found.faces) <= 500
    assert max(found.visual.material.baseColorTexture.size) == 128
    assert "ball_check.png" in "".join(capsys.readouterr().out.split())
    with Image.open(tmp_path / "ball_check.png") as picture:
        assert picture.size == (8 * 256, 2 * 256)
        colours, normals = np.split(np.asarray(picture, dtype=float), 2)
    assert (colours < 250).any(axis=-1).mean() == pytest.approx(0.72, abs=0.05)
    assert (normals < 250).any(axis=-1).mean() == pytest.approx(0.72, abs=0.05)


def test_refinement_may_be_left_out(scene: Scene, tmp_path: Path) -> None:
    assert main(["export", "run", "--to", "obj", "--resolution", "20", "--no-refine"]) == 0
    found = trimesh.load_mesh(tmp_path / "run" / "mesh.obj", process=False)
    centre = scene.to_input.points(torch.zeros(1, 3))[0].numpy()
    distances = np.linalg.norm(found.vertices - centre, axis=1) / scene.to_input.scale
    assert 1e-4 < np.abs(distances - RADIUS).max() < 0.05


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--to", "ply", "--texture", "512"], "A PLY file has no textures"),
        (["--to", "glb", "--out", "mesh.ply"], "--to glb does not fit the name of the file"),
        (["--to", "glb", "--lossless"], "none of these options: --view, --camera, --lossless"),
        (["--to", "glb", "--resolution", "1"], "makes no mesh"),
        (["--to", "glb", "--resolution", "20", "--faces", "2"], "cannot have 2 faces"),
        (["--to", "layers"], "it can be exported to: glb, ply, obj"),
        (["--to", "layers", "--resolution", "64"], "none of these options: --resolution"),
    ],
)
def test_what_makes_no_sense_is_said(
    scene: Scene, tmp_path: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "run", *words]) == 2
    assert said in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "run").exists()


def test_a_scene_without_a_surface_is_said(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    info = SimpleNamespace(spec=SimpleNamespace(title="Ball", traits=SimpleNamespace(exports={"mesh"})))
    monkeypatch.setattr(MethodOptions, "load", lambda self, device: (Ball(-1.0), info, tmp_path / "run"))
    assert main(["export", "run", "--to", "glb", "--resolution", "32"]) == 2
    assert "There is no surface in the box" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "run").exists()

"""``novelview eval --mesh``: surfaces of files against each other."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from novelview.cli.main import main
from novelview.evaluation.geometry import GeometryReport

pytest.importorskip("scipy.spatial", reason="the extra mesh is not installed")

CUBE = """ply
format ascii 1.0
element vertex 8
property float x
property float y
property float z
element face 6
property list uchar int vertex_indices
end_header
{corners}
4 0 2 3 1
4 4 5 7 6
4 0 1 5 4
4 2 6 7 3
4 0 4 6 2
4 1 3 7 5
"""


def write_cube(path: Path, edge: float) -> Path:
    corners = [f"{x * edge} {y * edge} {z * edge}" for z in (0, 1) for y in (0, 1) for x in (0, 1)]
    path.write_text(CUBE.format(corners="\n".join(corners)))
    return path


def write_sphere(path: Path, radius: float, seed: int, normals: bool = True) -> Path:
    generator = torch.Generator().manual_seed(seed)
    unit = F.normalize(torch.randn(4000, 3, generator=generator), dim=-1).numpy()
    arrays = {"points": radius * unit, **({"normals": unit} if normals else {})}
    np.savez(path, **arrays)
    return path


def read(path: Path) -> GeometryReport:
    return GeometryReport.from_json(json.loads(path.read_text())["scores"])


def test_point_clouds_are_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = write_sphere(tmp_path / "small.npz", 9.0, 0)
    large = write_sphere(tmp_path / "large.npz", 10.0, 1)
    words = [
        "eval",
        "--mesh",
        str(small),
        "--reference",
        str(large),
        "--unit",
        "mm",
        "--thresholds",
        "0.5",
        "1.5",
    ]
    assert main(words) == 0
    report = read(tmp_path / "small.geometry.json")
    assert report.unit == "mm"
    # Neighbours are not straight above one another, which adds a little to the difference of the radii.
    assert report.chamfer_l1 == pytest.approx(1.0, abs=0.06)
    assert report.normal_consistency == pytest.approx(1.0, abs=0.01)
    assert [each.distance for each in report.thresholds] == [0.5, 1.5]
    assert [each.f_score for each in report.thresholds] == pytest.approx([0.0, 1.0])
    printed = capsys.readouterr().out
    assert "distance, mm" in printed
    assert "4000 points against 4000" in printed


def test_thresholds_follow_the_size_of_the_reference(tmp_path: Path) -> None:
    small = write_sphere(tmp_path / "small.npz", 9.0, 0, normals=False)
    large = write_sphere(tmp_path / "large.npz", 10.0, 1)
    assert main(["eval", f"--mesh={small}", f"--reference={large}", "--out", str(tmp_path / "r.json")]) == 0
    report = read(tmp_path / "r.json")
    assert [each.distance for each in report.thresholds] == pytest.approx([0.1, 0.2, 0.4], rel=1e-2)
    assert report.normal_consistency is None


def test_meshes_are_sampled(tmp_path: Path) -> None:
    pytest.importorskip("trimesh", reason="the extra mesh is not installed")
    cube, same = write_cube(tmp_path / "cube.ply", 1.0), write_cube(tmp_path / "same.ply", 1.0)
    words = ["eval", "--reference", str(same), "--mesh", str(cube), "--points", "20000"]
    assert main(words) == 0
    first = (tmp_path / "cube.geometry.json").read_text()
    report = read(tmp_path / "cube.geometry.json")
    assert (report.predicted_points, report.reference_points) == (20_000, 20_000)
    # Half the mean distance of neighbours: 0.5 / sqrt(points per area).
    assert report.chamfer_l1 == pytest.approx(0.5 * (6 / 20_000) ** 0.5, rel=0.05)
    assert report.normal_consistency is not None
    assert report.normal_consistency > 0.98
    assert main(words) == 0
    assert (tmp_path / "cube.geometry.json").read_text() == first


@pytest.mark.parametrize("suffix", [".obj", ".off", ".stl", ".glb"])
def test_other_formats_hold_the_same_mesh(tmp_path: Path, suffix: str) -> None:
    trimesh = pytest.importorskip("trimesh", reason="the extra mesh is not installed")
    cube = write_cube(tmp_path / "cube.ply", 1.0)
    trimesh.load(cube).export(tmp_path / f"other{suffix}")
    words = ["--points", "5000", "--reference", str(cube)]
    assert main(["eval", "--mesh", str(tmp_path / f"other{suffix}"), *words]) == 0
    assert read(tmp_path / "other.geometry.json").chamfer_l1 < 0.03


def test_an_empty_mesh_is_a_diagonal_away(tmp_path: Path) -> None:
    np.savez(tmp_path / "empty.npz", points=np.zeros((0, 3)))
    sphere = write_sphere(tmp_path / "sphere.npz", 1.0, 0)
    assert main(["eval", "--mesh", str(tmp_path / "empty.npz"), "--reference", str(sphere)]) == 0
    assert read(tmp_path / "empty.geometry.json").chamfer_l1 == pytest.approx(2 * 3**0.5, rel=1e-2)


def test_errors_name_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sphere = write_sphere(tmp_path / "sphere.npz", 1.0, 0)
    (tmp_path / "broken.npz").write_bytes(b"PK nonsense")
    np.savez(tmp_path / "other.npz", places=np.zeros((3, 3)))
    np.savez(tmp_path / "empty.npz", points=np.zeros((0, 3)))
    np.savez(tmp_path / "odd.npz", points=np.zeros((3, 3)), normals=np.zeros((2, 3)))
    for mesh, said in (
        ("absent.ply", "no such file"),
        ("broken.npz", "Cannot read"),
        ("other.npz", "holds no points"),
        ("odd.npz", "differ in shape"),
    ):
        assert main(["eval", "--mesh", str(tmp_path / mesh), "--reference", str(sphere)]) == 2
        error = capsys.readouterr().err
        assert said in error
        assert mesh in error
    assert main(["eval", "--mesh", str(sphere), "--reference", str(tmp_path / "empty.npz")]) == 2
    assert "empty.npz" in capsys.readouterr().err
    assert main(["eval", "--mesh", str(sphere), "--reference", str(sphere), "--points", "0"]) == 2
    assert not list(tmp_path.glob("*.json"))


def test_damaged_meshes_are_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("trimesh", reason="the extra mesh is not installed")
    sphere = write_sphere(tmp_path / "sphere.npz", 1.0, 0)
    for name, text in (
        ("bad.ply", "ply\nformat ascii 1.0\nelement"),
        ("bad.xyzzy", "?"),
        ("bad.glb", "glTF"),
    ):
        (tmp_path / name).write_text(text)
        assert main(["eval", "--mesh", str(tmp_path / name), "--reference", str(sphere)]) == 2
        assert name in capsys.readouterr().err


def test_point_clouds_of_ply_files_are_read(tmp_path: Path) -> None:
    pytest.importorskip("trimesh", reason="the extra mesh is not installed")
    sphere = write_sphere(tmp_path / "sphere.npz", 1.0, 0)
    points = np.load(sphere)["points"]
    header = f"ply\nformat ascii 1.0\nelement vertex {len(points)}\n" + "".join(
        f"property float {axis}\n" for axis in "xyz"
    )
    rows = "\n".join(" ".join(map(str, row)) for row in points)
    (tmp_path / "cloud.ply").write_text(f"{header}end_header\n{rows}\n")
    assert main(["eval", "--mesh", str(tmp_path / "cloud.ply"), "--reference", str(sphere)]) == 0
    report = read(tmp_path / "cloud.geometry.json")
    assert report.predicted_points == 4000
    assert report.chamfer_l1 == pytest.approx(0, abs=1e-6)


def test_help_names_units_and_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["eval", "--mesh", "--help"])
    assert stopped.value.code == 0
    shown = capsys.readouterr().out
    words = ("--reference", "--thresholds", "--unit", "100000", "unit of the files", "--iou", "--data")
    for word in (*words, "--mask-radius", "12.0", "in pixels", "--dtu", "--scan", "0.2 mm", "--outliers"):
        assert word in shown

"""``novelview eval --mesh``: volumes, masks of a capture, and the protocol of the DTU data set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from novelview.cli.main import main
from novelview.geometry.rigid import look_at

trimesh = pytest.importorskip("trimesh", reason="the extra mesh is not installed")
from scipy.io import savemat  # noqa: E402


def box(path: Path, lower: tuple[float, ...], upper: tuple[float, ...], holes: int = 0) -> Path:
    solid = trimesh.creation.box(bounds=[lower, upper])
    trimesh.Trimesh(solid.vertices, solid.faces[holes:], process=False).export(path)
    return path


def cloud(path: Path, points: np.ndarray) -> Path:
    trimesh.PointCloud(points).export(path)
    return path


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text())


@pytest.mark.parametrize("suffix", [".ply", ".stl"])
def test_volumes_of_boxes(tmp_path: Path, suffix: str, capsys: pytest.CaptureFixture[str]) -> None:
    """STL stores the corners of each face apart."""
    first = box(tmp_path / f"first{suffix}", (0, 0, 0), (2, 1, 1))
    second = box(tmp_path / "second.ply", (1, 0, 0), (3, 1, 1))
    words = ["eval", "--mesh", str(first), "--reference", str(second), "--iou", "--points", "40000"]
    assert main(words) == 0
    assert read(tmp_path / "first.geometry.json")["scores"]["volume_iou"] == pytest.approx(1 / 3, abs=0.01)
    assert "volume IoU" in capsys.readouterr().out
    assert main(words[:-3]) == 0
    assert read(tmp_path / "first.geometry.json")["scores"]["volume_iou"] is None
    assert "volume IoU" not in capsys.readouterr().out


def test_only_closed_meshes_have_volumes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = box(tmp_path / "whole.ply", (0, 0, 0), (1, 1, 1))
    broken = box(tmp_path / "broken.ply", (0, 0, 0), (1, 1, 1), holes=1)
    points = cloud(tmp_path / "points.ply", np.eye(3))
    for mesh, reference, says in (
        (broken, whole, "broken.ply\n  why:  3 edges"),
        (whole, broken, "not watertight"),
        (whole, points, "Only a mesh has a volume"),
    ):
        assert main(["eval", "--mesh", str(mesh), "--reference", str(reference), "--iou"]) == 2
        assert says in capsys.readouterr().err
    assert not list(tmp_path.glob("*.json"))


def write_capture(root: Path, masks: bool = True) -> Path:
    """Two cameras 4 units from the origin, whose masks are discs of radius 0.64 there."""
    (root / "images").mkdir(parents=True)
    centres = torch.tensor([[0.0, 0.0, -4.0], [4.0, 0.0, 0.0]])
    poses = look_at(centres, torch.zeros(2, 3), torch.tensor([[0.0, -1.0, 0.0]]).expand(2, 3))
    frames = []
    y, x = np.mgrid[:64, :64] + 0.5
    for i, pose in enumerate(poses.double().numpy()):
        matrix = np.concatenate([pose * [[1, -1, -1, 1]], [[0, 0, 0, 1]]])
        frames.append({"file_path": f"images/{i}.png", "transform_matrix": matrix.tolist()})
        Image.new("RGB", (64, 64)).save(root / "images" / f"{i}.png")
        if masks:
            (root / "masks").mkdir(exist_ok=True)
            disc = (np.hypot(x - 32, y - 32) <= 8).astype(np.uint8)
            Image.fromarray(disc).save(root / "masks" / f"{i}.png")
    data = {"fl_x": 50, "fl_y": 50, "cx": 32, "cy": 32, "w": 64, "h": 64, "frames": frames}
    (root / "transforms.json").write_text(json.dumps(data))
    return root


def test_only_what_masks_show_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    object = np.array([[0.0, 0, 0], [0.2, 0.1, 0], [0, -0.3, 0.2]])
    table = np.array([[0, 1.9, 0], [0.5, 2.0, 0.1]])
    mesh = cloud(tmp_path / "mesh.ply", np.concatenate([object, table]))
    truth = cloud(tmp_path / "truth.ply", object)
    data = str(write_capture(tmp_path / "capture"))
    words = ["eval", "--mesh", str(mesh), "--reference", str(truth), "--thresholds", "0.01"]
    assert main(words) == 0
    report = read(tmp_path / "mesh.geometry.json")
    assert report["masks"] is None
    assert report["scores"]["accuracy"] > 0.5
    assert main([*words, "--data", data]) == 0
    report = read(tmp_path / "mesh.geometry.json")
    assert report["masks"] == {"data": data, "radius_px": 12.0, "points": 3, "of": 5}
    assert report["scores"]["accuracy"] == pytest.approx(0, abs=1e-6)
    assert "3 of 5 points" in capsys.readouterr().out
    assert main([*words, "--data", data, "--mask-radius", "30"]) == 0
    assert read(tmp_path / "mesh.geometry.json")["masks"]["points"] == 5


def test_masks_that_are_absent_or_elsewhere_are_errors(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    far = cloud(tmp_path / "far.ply", np.array([[0.0, 90, 0], [0, 90, 1], [1, 90, 0]]))
    words = ["eval", "--mesh", str(far), "--reference", str(far), "--data"]
    for name, masks, says in (("a", True, "No point of the mesh is within"), ("b", False, "has no masks")):
        assert main([*words, str(write_capture(tmp_path / name, masks))]) == 2
        assert says in capsys.readouterr().err
    assert not list(tmp_path.glob("*.json"))


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """A scan of 15 x 15 mm at height 0, above which the table is not; below the table something else was scanned."""
    folder = tmp_path / "dtu"
    (folder / "Points" / "stl").mkdir(parents=True)
    (folder / "ObsMask").mkdir()
    x, y = np.meshgrid(np.arange(61) * 0.25, np.arange(61) * 0.25)
    flat = np.stack([x.ravel(), y.ravel(), np.zeros(x.size)], axis=1)
    cloud(folder / "Points" / "stl" / "stl003_total.ply", np.concatenate([flat, flat - [0, 0, 9]]))
    seen = np.ones((17, 17, 3), dtype=np.uint8)
    bounds = np.array([[-0.5, -0.5, -1], [15.5, 15.5, 1]])
    savemat(folder / "ObsMask" / "ObsMask3_10.mat", {"ObsMask": seen, "BB": bounds, "Res": 1.0})
    savemat(folder / "ObsMask" / "Plane3.mat", {"P": np.array([[0.0], [0], [1], [4]])})
    return folder


def plates(path: Path, *heights: float) -> Path:
    square = ((0, 0), (15, 0), (15, 15), (0, 15))
    vertices = [(x, y, height) for height in heights for x, y in square]
    faces = np.concatenate([np.array([[0, 1, 2], [0, 2, 3]]) + 4 * i for i in range(len(heights))])
    trimesh.Trimesh(vertices, faces, process=False).export(path)
    return path


def test_a_plate_above_a_scan(tmp_path: Path, scan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # The second plate is where the scanner saw nothing, and so does not count.
    mesh = plates(tmp_path / "mesh.ply", 0.5, 7.0)
    words = ["eval", "--mesh", str(mesh), "--dtu", str(scan), "--scan", "3"]
    assert main(words) == 0
    first = (tmp_path / "mesh.geometry.json").read_text()
    report = json.loads(first)
    assert report["reference"].endswith("stl003_total.ply")
    assert report["scan"] == 3
    scores = report["scores"]
    # Points are up to a quarter of a millimetre beside one another.
    assert 0.5 < scores["accuracy"] < 0.53
    assert 0.5 < scores["completeness"] < 0.53
    assert scores["overall"] == pytest.approx((scores["accuracy"] + scores["completeness"]) / 2)
    assert scores["completeness_points"] == 61 * 61
    # Points at least 0.2 mm apart: discs of half that radius, of which a plane holds little more than half at random.
    assert 0.3 < scores["accuracy_points"] * np.pi * 0.1**2 / 15**2 < 0.6
    assert scores["unit"] == "mm"
    printed = capsys.readouterr().out
    assert "DTU's protocol" in printed
    assert f"{scores['overall']:.4f}" in printed
    assert main(words) == 0
    assert (tmp_path / "mesh.geometry.json").read_text() == first


def test_outliers_are_dropped_unless_told_otherwise(tmp_path: Path, scan: Path) -> None:
    low, high = np.array([[7.0, 7.0, 0.5]]), np.array([[7.0, 7.0, -0.4]])
    mesh = cloud(tmp_path / "mesh.ply", np.concatenate([low, high]))
    far = scan / "Points" / "stl" / "stl003_total.ply"
    cloud(far, np.array([[7.0, 7.0, 0.0], [7, 7, 99], [7, 7, 98]]))
    words = ["eval", "--mesh", str(mesh), "--dtu", str(scan), "--scan", "3", "--outliers"]
    for outliers, completeness in (("drop", 0.4), ("cap", (0.4 + 20 + 20) / 3)):
        assert main([*words, outliers]) == 0
        scores = read(tmp_path / "mesh.geometry.json")["scores"]
        assert scores["accuracy"] == pytest.approx(0.45)
        assert scores["completeness"] == pytest.approx(completeness)


def test_masks_restrict_what_is_scored_against_a_scan(tmp_path: Path, scan: Path) -> None:
    mesh = plates(tmp_path / "mesh.ply", 0.5)
    data = str(write_capture(tmp_path / "capture"))
    assert main(["eval", "--mesh", str(mesh), "--dtu", str(scan), "--scan", "3", "--data", data]) == 0
    report = read(tmp_path / "mesh.geometry.json")
    assert 0 < report["masks"]["points"] < report["masks"]["of"]
    assert report["scores"]["accuracy_points"] < report["masks"]["points"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "either --reference FILE, or --dtu"),
        (["--dtu", "{scan}"], "both --dtu FOLDER and --scan"),
        (["--scan", "3"], "both --dtu FOLDER and --scan"),
        (["--dtu", "{scan}", "--scan", "3", "--reference", "{mesh}"], "either --reference FILE, or --dtu"),
        (["--dtu", "{scan}", "--scan", "3", "--iou"], "leave out --iou"),
        (["--dtu", "{scan}", "--scan", "4"], "stl004_total.ply"),
        (["--reference", "{mesh}", "--iou", "--data", "{scan}"], "leave out --iou, or --data"),
        (["--reference", "{mesh}", "--mask-radius", "-1"], "mask radius -1"),
    ],
)
def test_options_that_do_not_fit_are_errors(
    tmp_path: Path, scan: Path, words: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    mesh = plates(tmp_path / "mesh.ply", 0.5)
    filled = [word.format(scan=scan, mesh=mesh) for word in words]
    assert main(["eval", "--mesh", str(mesh), *filled]) == 2
    assert says in capsys.readouterr().err
    assert not list(tmp_path.glob("*.json"))

"""The DTU protocol on small clouds whose scores are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from novelview.cameras.cameras import Cameras
from novelview.errors import DataError
from novelview.evaluation.dtu import (
    ObservedRegion,
    inside_masks,
    mesh_points,
    score_scan,
    thin_out,
)
from novelview.evaluation.dtu_files import find_scan, read_plane, read_region
from novelview.geometry.rigid import look_at
from novelview.types import Views

pytest.importorskip("scipy.spatial", reason="the extra mesh is not installed")
from scipy.io import savemat


def lattice(height: float, count: int = 30, step: float = 0.5) -> np.ndarray:
    """A flat square of points, mm."""
    x, y = np.meshgrid(np.arange(count) * step, np.arange(count) * step)
    return np.stack([x.ravel(), y.ravel(), np.full(x.size, height)], axis=1)


def test_thinning_leaves_no_neighbours_and_no_holes(generator: torch.Generator) -> None:
    points = torch.rand(3000, 3, generator=generator).double().numpy()
    stays = thin_out(points, 0.1, generator)
    table = np.linalg.norm(points[:, None] - points[stays], axis=-1)
    among = table[stays]
    assert among[~np.eye(len(stays), dtype=bool)].min() > 0.1
    assert table.min(axis=1).max() <= 0.1
    assert len(thin_out(points[:0], 0.1, generator)) == 0


def test_thinning_is_that_of_a_plain_loop(generator: torch.Generator) -> None:
    points = torch.rand(400, 3, generator=generator).double().numpy()
    state = generator.get_state()
    found = thin_out(points, 0.15, generator)
    generator.set_state(state)
    kept: list[int] = []
    for i in torch.randperm(len(points), generator=generator).tolist():
        if all(np.linalg.norm(points[i] - points[j]) > 0.15 for j in kept):
            kept.append(i)
    assert sorted(kept) == found.tolist()


def test_a_shifted_scan_scores_its_shift(generator: torch.Generator) -> None:
    report = score_scan(lattice(0.3), lattice(0.0), generator)
    assert (report.accuracy, report.completeness, report.overall) == pytest.approx((0.3, 0.3, 0.3))
    assert report.accuracy_points == report.completeness_points == 900
    assert report.to_json()["unit"] == "mm"


def test_outliers_are_left_out_or_capped(generator: torch.Generator) -> None:
    wild = np.concatenate([lattice(0.3), lattice(500.0)])
    assert score_scan(wild, lattice(0.0), generator).accuracy == pytest.approx(0.3)
    capped = score_scan(wild, lattice(0.0), generator, beyond="cap")
    assert capped.accuracy == pytest.approx((0.3 + 20) / 2)
    assert capped.completeness == pytest.approx(0.3)


def test_only_what_was_observed_and_above_the_table_counts(generator: torch.Generator) -> None:
    region = ObservedRegion(np.ones((16, 16, 2), dtype=bool), np.array([0.0, 0, 0]), 1.0)
    region.seen[8:] = False
    inside = lattice(0.3)[region.holds(lattice(0.3))]
    # Voxel 7 is the last one seen; what is nearest to it ends at 7.5, which rounds to the even 8.
    assert inside[:, 0].max() == 7.0
    predicted = np.concatenate([lattice(0.3), lattice(5.0)])
    report = score_scan(predicted, lattice(0.0), generator, region=region)
    assert report.accuracy == pytest.approx(0.3)
    assert report.accuracy_points == len(inside)
    scan = np.concatenate([lattice(0.0), lattice(-4.0)])
    plane = np.array([0.0, 0, 1, 2])
    assert score_scan(lattice(0.3), scan, generator, plane=plane).completeness == pytest.approx(0.3)
    assert score_scan(lattice(0.3), scan, generator).completeness == pytest.approx((0.3 + 4.3) / 2)


def test_nothing_to_score_is_an_error(generator: torch.Generator) -> None:
    with pytest.raises(DataError, match="of the reconstruction"):
        score_scan(lattice(500.0), lattice(0.0), generator)
    with pytest.raises(DataError, match="of the reconstruction"):
        score_scan(lattice(0.0)[:0], lattice(0.0), generator)


def test_points_of_a_mesh_fill_it(generator: torch.Generator) -> None:
    vertices = torch.tensor([[0.0, 0, 0], [4, 0, 0], [4, 3, 0], [0, 3, 0]])
    points = mesh_points(vertices, torch.tensor([[0, 1, 2], [0, 2, 3]]), generator)
    assert len(points) == pytest.approx(2 * 12 / 0.04, abs=2)
    stays = thin_out(points.numpy(), 0.2, generator)
    # Discs dropped at random would fill 0.547 of the plane in the end (Rényi's parking problem in the plane).
    assert 0.3 < len(stays) * np.pi * 0.1**2 / 12 < 0.55


def test_a_mesh_in_other_units_is_told(generator: torch.Generator) -> None:
    vertices = 1e6 * torch.eye(3)
    with pytest.raises(DataError, match="too large to be scored") as error:
        mesh_points(vertices, torch.tensor([[0, 1, 2]]), generator)
    assert "millimetres" in str(error.value)


def test_scans_are_found_in_either_layout(tmp_path: Path) -> None:
    names = ("Points/stl/stl007_total.ply", "ObsMask/ObsMask7_10.mat", "ObsMask/Plane7.mat")
    for name in names:
        with pytest.raises(DataError, match="is missing") as error:
            find_scan(tmp_path, 7)
        assert Path(name).name in str(error.value)
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = find_scan(tmp_path, 7)
    assert [found.points, found.region, found.plane] == [tmp_path / name for name in names]
    flat = tmp_path / "flat"
    flat.mkdir()
    for name in names:
        (tmp_path / name).rename(flat / Path(name).name)
    assert find_scan(flat, 7).plane == flat / "Plane7.mat"


def test_files_of_the_data_set(tmp_path: Path) -> None:
    seen = np.zeros((3, 4, 5), dtype=np.uint8)
    seen[1, 2, 3] = 1
    box = np.array([[-1.0, 0, 2], [5, 8, 12]])
    savemat(tmp_path / "ObsMask1_10.mat", {"ObsMask": seen, "BB": box, "Res": 2.0})
    savemat(tmp_path / "Plane1.mat", {"P": np.array([[0.0], [0], [1], [-3]])})
    region = read_region(tmp_path / "ObsMask1_10.mat")
    assert region.holds(np.array([[1.0, 4, 8], [3.0, 4, 8], [-99.0, 0, 0]])).tolist() == [True, False, False]
    assert read_plane(tmp_path / "Plane1.mat").tolist() == [0, 0, 1, -3]
    with pytest.raises(DataError, match="ObsMask, BB, Res"):
        read_region(tmp_path / "Plane1.mat")
    (tmp_path / "bad.mat").write_bytes(b"not a matlab file")
    for missing in ("bad.mat", "absent.mat"):
        with pytest.raises(DataError, match="Cannot read"):
            read_plane(tmp_path / missing)


def test_masks_keep_what_all_views_that_see_it_show() -> None:
    centres = torch.tensor([[0.0, 0.0, -4.0], [4.0, 0.0, 0.0]])
    poses = look_at(centres, torch.zeros(2, 3), torch.tensor([[0.0, -1.0, 0.0]]).expand(2, 3))
    cameras = Cameras.pinhole(poses, torch.tensor([50.0, 50.0, 32.0, 32.0]), 64, 64)
    y, x = torch.meshgrid(torch.arange(64) + 0.5, torch.arange(64) + 0.5, indexing="ij")
    disc = (((x - 32) ** 2 + (y - 32) ** 2).sqrt() <= 8).float()
    views = Views.from_tensors(cameras, torch.zeros(2, 64, 64, 3), masks=disc.expand(2, 64, 64))
    # At depth 4 a pixel is 0.08: the dilated mask reaches to 20 pixels or 1.6, the image to 2.56.
    points = torch.tensor(
        [
            [0.0, 0.0, 0.0],
            [0.0, 1.4, 0.0],
            [0.0, 1.9, 0.0],
            [0.0, 5.0, 0.0],
            [0.0, 0.0, -4.5],
            [0.0, 0.0, 1.9],
        ]
    )
    # In all masks; within the dilation; beyond it; in no image; in none either, behind one; beyond it in one view only.
    assert inside_masks(points, views).tolist() == [True, True, False, False, False, False]
    assert inside_masks(points, views, radius=0.0).tolist() == [True, *[False] * 5]
    assert inside_masks(torch.zeros(0, 3), views).shape == (0,)
    with pytest.raises(DataError, match="no masks"):
        inside_masks(points, Views.from_tensors(cameras, torch.zeros(2, 64, 64, 3)))

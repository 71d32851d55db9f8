"""The checks that all formats share: poses, cameras, file names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from novelview.data.formats import read_capture
from novelview.data.formats.paths import Folder, listed
from novelview.data.formats.ply import read_points
from novelview.errors import DataError

Make = Callable[..., Path]


def with_pose(make: Make, pose: np.ndarray) -> Path:
    return make(lambda data: data["frames"][2].update(transform_matrix=pose.tolist()))


def test_tiny_drift_is_made_rigid_again(
    transforms: Make, poses: np.ndarray, opencv_poses: np.ndarray
) -> None:
    pose = poses[2].copy()
    pose[:3, :3] += np.random.default_rng(0).uniform(-1e-3, 1e-3, (3, 3))
    rotation = read_capture(with_pose(transforms, pose)).cameras.rotations[2].double()
    torch.testing.assert_close(rotation.T @ rotation, torch.eye(3).double(), atol=1e-6, rtol=0)
    assert float((rotation - torch.from_numpy(opencv_poses[2, :, :3])).abs().max()) < 2e-3


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (
            np.diag([2.0, 2.0, 2.0, 1.0]),
            "not a rigid motion: the axes are scaled or not at right angles, their lengths: 2, 2, 2",
        ),
        (np.diag([1.01, 1.01, 1.01, 1.0]), "lengths: 1.01, 1.01, 1.01"),
        (np.diag([-1.0, 1.0, 1.0, 1.0]), "mirrors the world"),
        (np.diag([1.0, 1.0, 0.0, 1.0]), "lengths: 1, 1, 0"),
        (np.eye(4) + np.diag([0.5, 0, 0], k=1), "right angles"),
    ],
)
def test_poses_that_are_not_rigid_are_refused_by_name(
    transforms: Make, poses: np.ndarray, spoil: np.ndarray, why: str
) -> None:
    with pytest.raises(DataError, match=r"camera of view '2\.png' is impossible") as error:
        read_capture(with_pose(transforms, poses[2] @ spoil))
    assert why in str(error.value.why)


def test_absurd_translations_are_refused(transforms: Make, poses: np.ndarray) -> None:
    pose = poses[2].copy()
    pose[0, 3] = 1e300
    with pytest.raises(DataError, match="absurdly large"):
        read_capture(with_pose(transforms, pose))


def test_a_capture_far_from_the_origin_is_noted(transforms: Make) -> None:
    def far_away(data: dict[str, Any]) -> None:
        for frame in data["frames"]:
            frame["transform_matrix"][0][3] += 5e6

    assert any("subtract an offset" in note for note in read_capture(transforms(far_away)).notes)


@pytest.mark.parametrize(
    "text",
    ["/etc/passwd", "../secret.png", "images/../../secret.png", "C:/secret.png", r"..\secret.png", ".."],
)
def test_names_that_leave_the_folder_are_refused(transforms: Make, tmp_path: Path, text: str) -> None:
    def change(data: dict[str, Any]) -> None:
        data["frames"][0]["file_path"] = text

    with pytest.raises(DataError, match="leads out of the capture's folder"):
        read_capture(transforms(change))


def test_links_that_leave_the_folder_are_refused(
    transforms: Make, image: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = image(tmp_path_factory.mktemp("outside") / "secret.png")
    root = transforms()
    (root / "images" / "0.png").unlink()
    (root / "images" / "0.png").symlink_to(outside)
    with pytest.raises(DataError, match=f"link to {outside}"):
        read_capture(root)


def test_links_that_stay_inside_are_followed(transforms: Make) -> None:
    root = transforms()
    (root / "images").rename(root / "stored")
    (root / "images").symlink_to("stored")
    assert len(read_capture(root).cameras) == 4


def test_a_linked_capture_is_its_target(transforms: Make, tmp_path_factory: pytest.TempPathFactory) -> None:
    link = tmp_path_factory.mktemp("elsewhere") / "link"
    link.symlink_to(transforms())
    assert len(read_capture(link).cameras) == 4


def test_exact_spelling_wins_and_ambiguous_spelling_finds_nothing(
    tmp_path: Path, image: Callable[..., Path]
) -> None:
    image(tmp_path / "a.png")
    image(tmp_path / "A.png")
    if len(list(tmp_path.iterdir())) < 2:
        pytest.skip("this file system does not tell A from a")
    folder, here = Folder(tmp_path), tmp_path / "x.json"
    assert folder.find("A.png", here) == tmp_path / "A.png"
    assert folder.find("a.png", here) == tmp_path / "a.png"
    assert folder.find("a.PNG", here) is None


def test_suffix_is_appended_also_behind_a_dot(tmp_path: Path, image: Callable[..., Path]) -> None:
    image(tmp_path / "frame.0001.jpg")
    assert Folder(tmp_path).find("frame.0001", tmp_path) == tmp_path / "frame.0001.jpg"
    assert Folder(tmp_path).find("frame.0002", tmp_path) is None
    assert Folder(tmp_path).find("", tmp_path) is None


def test_accents_match_however_they_are_composed(tmp_path: Path, image: Callable[..., Path]) -> None:
    image(tmp_path / "u\u0308ber.png")
    assert Folder(tmp_path).find("\u00fcber.png", tmp_path) is not None


def test_names_in_messages_are_short_and_printable() -> None:
    assert listed(["a\x1b[31m", "b" * 300, "c"], most=2) == "a?[31m, " + "b" * 200 + ", …"


def ply(order: str, count: int, body: bytes) -> bytes:
    fields = "property double z\nproperty uchar red\nproperty float x\nproperty short y\n"
    return (
        f"ply\nformat {order} 1.0\ncomment hi\nelement vertex {count}\n{fields}end_header\n".encode() + body
    )


@pytest.mark.parametrize("order", ["ascii", "binary_little_endian", "binary_big_endian"])
def test_ply_vertices_in_every_encoding(tmp_path: Path, order: str) -> None:
    mark = ">" if order == "binary_big_endian" else "<"
    record = np.dtype([("z", mark + "f8"), ("red", "u1"), ("x", mark + "f4"), ("y", mark + "i2")])
    body = np.array([(3, 255, 1.5, -2), (6, 0, 4.5, -5)], record).tobytes()
    if order == "ascii":
        body = b"3 255 1.5 -2\n6 0 4.5 -5\n"
    (tmp_path / "a.ply").write_bytes(ply(order, 2, body))
    assert read_points(tmp_path / "a.ply").tolist() == [[1.5, -2, 3], [4.5, -5, 6]]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"ply\n",
        b"obj",
        ply("ascii", 2, b"1 2 3 4\n"),
        ply("ascii", 1, b"1 2\n"),
        ply("ascii", 1, b"one 2 3 4\n"),
        ply("ascii", -1, b""),
        ply("binary_little_endian", 1 << 60, b"0" * 100),
        ply("binary_little_endian", -1, b"0" * 15),
        ply("middle_endian", 0, b""),
        b"ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nend_header\n1\n",
        b"ply\nformat ascii 1.0\nelement face 1\nend_header\n",
        b"ply\nformat ascii 1.0\nelement vertex 1\nproperty list uchar int x\nend_header\n",
    ],
)
def test_broken_ply_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.ply").write_bytes(data)
    with pytest.raises(DataError, match=r"point cloud: .*a\.ply"):
        read_points(tmp_path / "a.ply")

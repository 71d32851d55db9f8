"""RealEstate10K's camera files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from novelview.data.formats import read_capture
from novelview.data.open import open_scene
from novelview.errors import DataError


def test_intrinsics_are_parts_of_the_images_sides(re10k: Path) -> None:
    capture = read_capture(re10k)
    assert capture.cameras.intrinsics[0].tolist() == pytest.approx([10.0, 11.0, 4.0, 3.0])
    assert capture.names == ("1000000.png", "1033333.png", "1066666.png", "1099999.png")
    assert open_scene(re10k / "toy.txt", measure=False).name == "toy"


def test_images_of_any_size_and_kind(re10k: Path, image: Callable[..., Path]) -> None:
    (re10k / "toy" / "1000000.png").unlink()
    image(re10k / "toy" / "1000000.jpg", size=(16, 12))
    capture = read_capture(re10k)
    assert capture.cameras.sizes.tolist()[:2] == [[16, 12], [8, 6]]
    assert capture.cameras.intrinsics[0].tolist() == pytest.approx([20.0, 22.0, 8.0, 6.0])


def test_frames_that_were_not_extracted_are_said(re10k: Path) -> None:
    (re10k / "toy" / "1033333.png").unlink()
    assert "1 of 4 listed images are missing and were left out: 1033333" in read_capture(re10k).notes[0]


def test_one_of_several_clips_must_be_named(re10k: Path) -> None:
    (re10k / "other.txt").write_bytes((re10k / "toy.txt").read_bytes())
    assert len(read_capture(re10k).cameras) == 4  # Without its frames, the other one is no capture.
    (re10k / "other").mkdir()
    with pytest.raises(DataError, match="RealEstate10K"):
        read_capture(re10k)
    assert len(read_capture(re10k / "toy.txt").cameras) == 4


@pytest.mark.parametrize(
    "line",
    [
        "1 2 3",
        "x " + "1 " * 18,
        "1 " + "nan " * 18,
        "1 " + "1e999 " * 18,
        "../x " + "1 " * 18,
        "1 " + "y " * 18,
    ],
)
def test_malformed_lines_are_numbered(re10k: Path, line: str) -> None:
    file = re10k / "toy.txt"
    lines = file.read_text().splitlines()
    file.write_text("\n".join([*lines[:2], "", line, *lines[2:]]))
    with pytest.raises(DataError, match="Line 4 is no camera"):
        read_capture(re10k)


def test_a_time_that_is_listed_twice(re10k: Path) -> None:
    file = re10k / "toy.txt"
    file.write_text(file.read_text() + file.read_text().splitlines()[1])
    with pytest.raises(DataError, match="listed more than once"):
        read_capture(re10k)

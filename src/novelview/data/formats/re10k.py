"""RealEstate10K's camera files: one text file per clip, its frames in a folder of the same name beside it.

The first line is the video's address. Every further line is a frame: its time in microseconds; fx, fy, cx, cy in parts of
the image's width and height; two zeros; and the world-to-camera matrix, three rows of four, row by row
(google.github.io/realestate10k, "File format").
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float64

from novelview.data.capture import Capture, ImageFiles
from novelview.data.decode import read_header
from novelview.data.formats.paths import Folder, readable
from novelview.data.formats.reader import Reader, only_one
from novelview.data.formats.views import PosedView, assemble, missing_images_note
from novelview.errors import DataError
from novelview.geometry.rigid import invert

CAMERA_NUMBERS = 18  # After a line's time.


class Re10kReader(Reader):
    """Reads one clip of RealEstate10K whose frames were extracted."""

    name = "re10k"
    title = "RealEstate10K"
    looks_for = "one .txt of cameras, below a video's address, with a folder of the same name"

    def detect(self, path: Path) -> bool:
        return _defining_file(path) is not None

    def read(self, path: Path) -> Capture:
        """The capture of such a file, or of a folder that holds exactly one; images are called by the frames' times."""
        file = _defining_file(path)
        if file is None:
            raise DataError("There is no RealEstate10K clip", where=path, why=f"looked for {self.looks_for}")
        folder, lines = Folder(file.with_suffix("")), _lines(file)
        views, missing = [], []
        for number, line in lines:
            time, row = _parse(line, file, number)
            image = folder.find(time, file)
            if image is None:
                missing.append(time)
            else:
                views.append(_view(row, image))
        notes = [missing_images_note(missing, len(lines), file)] if missing else []
        return replace(assemble(path, self.name, views, notes=notes), name=file.stem)


def pixel_intrinsics(
    row: Float64[np.ndarray, " 18"], size: tuple[int, int]
) -> tuple[float, float, float, float]:
    """fx, fy, cx, cy in pixels of an image of ``size``, out of a frame's 18 numbers."""
    width, height = size
    fx, fy, cx, cy = row[:4].tolist()
    return fx * width, fy * height, cx * width, cy * height


def world_to_camera(row: Float64[np.ndarray, " 18"]) -> Float64[np.ndarray, "3 4"]:
    """The pose out of a frame's 18 numbers, OpenCV axes."""
    return row[6:].reshape(3, 4)


def _defining_file(path: Path) -> Path | None:
    return only_one(
        path,
        ".txt",
        lambda file, beginning: (
            beginning.startswith((b"http://", b"https://")) and file.with_suffix("").is_dir()
        ),
    )


def _lines(file: Path) -> list[tuple[int, str]]:
    """The lines with cameras, numbered as in an editor."""
    text = file.read_bytes().decode("utf-8", errors="replace")
    return [(i, line) for i, line in enumerate(text.splitlines(), 1) if i > 1 and line.strip()]


def _parse(line: str, file: Path, number: int) -> tuple[str, Float64[np.ndarray, " 18"]]:
    """Time, as it is written, and the 18 numbers of a frame."""
    time, *words = line.split()
    try:
        row = np.array([float(word) for word in words])
    except ValueError:
        row = np.zeros(0)
    if (
        row.shape != (CAMERA_NUMBERS,)
        or not bool((np.abs(row) < sys.float_info.max).all())
        or not time.isdigit()
    ):
        raise DataError(
            f"Line {number} is no camera",
            where=file,
            why=f"a time and {CAMERA_NUMBERS} numbers are expected, the line is {readable(line)[:80]!r}",
            cure="correct the line, or delete it",
        )
    return time, row


def _view(row: Float64[np.ndarray, " 18"], image: Path) -> PosedView:
    size = read_header(image).size
    return PosedView(
        files=ImageFiles(image),
        camera_to_world=invert(torch.from_numpy(world_to_camera(row))).numpy(),
        intrinsics=pixel_intrinsics(row, size),
        size=size,
    )

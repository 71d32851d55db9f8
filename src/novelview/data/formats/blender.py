"""The Blender format of NeRF's synthetic scenes: one ``transforms`` file for training, validation and testing each."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from novelview.data.capture import Capture
from novelview.data.formats.frames import read_frames
from novelview.data.formats.paths import Folder
from novelview.data.formats.reader import Reader
from novelview.data.formats.views import PosedView, assemble
from novelview.errors import DataError
from novelview.fields import read_json_object

NEAR_FAR = (2.0, 6.0)  # NeRF (ECCV 2020): cameras on a sphere of radius 4 around an object.
_WHITE = (1.0, 1.0, 1.0)
_PARTS = {part: f"transforms_{part}.json" for part in ("train", "val", "test")}


class BlenderReader(Reader):
    """Reads ``transforms_train.json``, ``transforms_val.json`` and ``transforms_test.json``."""

    name = "blender"
    title = "NeRF's synthetic scenes from Blender"
    looks_for = "transforms_train.json, transforms_val.json or transforms_test.json"

    def detect(self, path: Path) -> bool:
        if path.is_file():
            return path.name in _PARTS.values()
        return any((path / name).is_file() for name in _PARTS.values())

    def read(self, path: Path) -> Capture:
        """The capture of all parts that exist, training views first; transparent pixels are white.

        Near 2 and far 6 are the format's defaults, taken where its cameras stand: 3.5 to 4.5 from the origin.
        Views of other cameras state no depth range.

        Opened at a smaller scale, a pixel is the mean of what the larger ones that it covers show before white. The
        half-size images of R2L's own loader are means of colour and of opacity, blended afterwards, which brings
        colours that nobody sees, those of transparent pixels, into the edges.
        """
        root = path.parent if path.is_file() else path
        folder, angle = Folder(root), _angle_of_data_set(root)
        views: dict[Path, PosedView] = {}
        partition, notes = {}, []
        for part, name in _PARTS.items():
            if not (root / name).is_file():
                continue
            frames = read_frames(read_json_object(root / name, DataError), folder, angle)
            notes += list(frames.notes)
            # Some sets hand the same images out for validation and testing.
            for view in frames.views:
                known = views.setdefault(view.files.image, view)
                if not np.array_equal(known.camera_to_world, view.camera_to_world):
                    raise _two_poses(view.files.image, root / name)
            position = {image: i for i, image in enumerate(views)}
            partition[part] = tuple(dict.fromkeys(position[view.files.image] for view in frames.views))
        ranged = [_with_default_range(view) for view in views.values()]
        if any(a is not b for a, b in zip(ranged, views.values(), strict=True)):
            notes.append("Near 2 and far 6 are the defaults of the Blender format.")
        return assemble(path, self.name, ranged, partition=partition, background=_WHITE, notes=notes)


def _angle_of_data_set(root: Path) -> float | None:
    """The field of view that DONeRF's scenes keep in a file of its own."""
    file = root / "dataset_info.json"
    return read_json_object(file, DataError).number("camera_angle_x") if file.is_file() else None


def _two_poses(image: Path, file: Path) -> DataError:
    return DataError(
        "An image is listed with two different poses", where=file, why=image.name, cure="keep the right one"
    )


def _with_default_range(view: PosedView) -> PosedView:
    distance = float(np.linalg.norm(view.camera_to_world[:, 3]))
    if view.near_far is not None or not 3.5 <= distance <= 4.5:
        return view
    return replace(view, near_far=NEAR_FAR)

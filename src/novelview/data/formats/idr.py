"""IDR and NeuS: ``cameras.npz`` with a projection matrix per image, photographs in ``image`` or ``rgb``, masks in ``mask``.

world_mat_i = K [R | t] takes world coordinates to pixels, scale_mat_i takes the unit sphere, in which the object is, to the
world. github.com/lioryariv/idr, docs/DATA_CONVENTION.md.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float64

from novelview.data.capture import Capture, ImageFiles
from novelview.data.decode import read_header
from novelview.data.formats.npz import array_names, matrices, read_arrays
from novelview.data.formats.projections import camera_file, decompose, image_files, object_frame, partners
from novelview.data.formats.reader import Reader
from novelview.data.formats.views import PosedView, assemble
from novelview.errors import DataError


class IdrReader(Reader):
    """Reads ``cameras.npz`` whose matrices contain the intrinsics."""

    name = "idr"
    title = "IDR / NeuS"
    looks_for = "cameras.npz with world_mat_0 and without camera_mat_0"

    def detect(self, path: Path) -> bool:
        file = camera_file(path)
        if file is None:
            return False
        # A damaged file of this name is for reading to report.
        names = array_names(file) or {"world_mat_0"}
        return "world_mat_0" in names and "camera_mat_0" not in names

    def read(self, path: Path) -> Capture:
        """The capture of such a folder, or of its file of cameras; its frame is that of world_mat.

        Pixel coordinates are taken as those whose origin is the corner of the image, as programs that convert
        COLMAP's cameras write them. IDR's own code looks through whole numbers, half a pixel away.
        """
        file = camera_file(path)
        if file is None:
            raise DataError(
                "There are no cameras of IDR's format", where=path, why=f"looked for {self.looks_for}"
            )
        images = image_files(file)
        masks = partners(file, images, "mask")
        arrays = read_arrays(file, r"(world|scale)_mat_\d+")
        world = matrices(arrays, "world_mat", len(images), file)
        views = [
            _view(matrix[:3], f"world_mat_{i}", file, ImageFiles(image, mask))
            for i, (matrix, image, mask) in enumerate(zip(world, images, masks, strict=True))
        ]
        box = None
        if "scale_mat_0" in arrays:
            box = _around_sphere(object_frame(matrices(arrays, "scale_mat", len(images), file), file))
        return assemble(path, self.name, views, box=box)


def _view(projection: Float64[np.ndarray, "3 4"], name: str, path: Path, files: ImageFiles) -> PosedView:
    intrinsics, pose = decompose(projection, name, path)
    return PosedView(
        files=files,
        camera_to_world=pose,
        intrinsics=(intrinsics[0, 0], intrinsics[1, 1], intrinsics[0, 2], intrinsics[1, 2]),
        size=read_header(files.image).size,
    )


def _around_sphere(frame: Float64[np.ndarray, "4 4"]) -> Float64[np.ndarray, "2 3"]:
    """Corners of the box around the unit sphere, carried over by ``frame``."""
    half = np.linalg.norm(frame[:3, :3], axis=1)
    return np.stack([frame[:3, 3] - half, frame[:3, 3] + half])

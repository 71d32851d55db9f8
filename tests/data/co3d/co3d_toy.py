"""Small data sets in CO3Dv2's format, written from PyTorch3D's own definition of a camera and nothing of the program."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

Array = np.ndarray

# The object about its middle, in its own upright frame: half sides, and a coloured mark on each of four corners.
HALF = np.array([0.5, 0.4, 0.3])
MARKS = HALF * np.array([[1, 1, 1], [-1, 1, -1], [-1, -1, 1], [1, -1, -1]])
COLOURS = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0]])
MIDDLE = np.array([0.3, -0.2, 0.1])


@dataclass(frozen=True)
class Toy:
    """A sequence: cameras on an ellipse, the longer axis along x, around a box.

    Attributes:
        name: of the sequence.
        width: of the images.
        height: of the images.
        kind: of the intrinsics in the annotations.
        turn: world frame of the annotations from the upright one, with ``scale`` and ``shift``.
        scale: of the world.
        shift: of the world.
        frames: how many.
        principal: offset of the principal point from the middle of the image in pixels.
    """

    name: str = "110_1"
    width: int = 96
    height: int = 64
    kind: str | None = "ndc_isotropic"
    turn: Array = field(default_factory=lambda: np.eye(3))
    scale: float = 1.0
    shift: Array = field(default_factory=lambda: np.zeros(3))
    frames: int = 8
    principal: tuple[float, float] = (14.0, 3.0)
    quality: float = 1.0

    def world(self, points: Array) -> Array:
        """Points (p, 3) of the upright frame in the frame of the annotations."""
        return np.asarray(self.scale * points @ self.turn.T + self.shift)

    def centres(self) -> Array:
        """Camera centres (n, 3) in the upright frame; their mean is the origin but for the height."""
        angles = 2 * np.pi * np.arange(self.frames) / self.frames
        heights = np.full(self.frames, 1.2)
        return np.stack([4 * np.cos(angles), 3.2 * np.sin(angles), heights], axis=1)

    def focal(self) -> float:
        """In pixels."""
        return 1.4 * min(self.width, self.height)

    def middle(self) -> Array:
        """The principal point in pixels from the upper left corner."""
        return np.array([self.width / 2, self.height / 2]) + self.principal

    def axes(self, i: int) -> Array:
        """Rows: right, down and forward of camera ``i`` in the upright frame."""
        centre = self.centres()[i]
        forward = (MIDDLE - centre) / np.linalg.norm(MIDDLE - centre)
        right = np.cross(forward, [0.0, 0.0, 1.0])
        right /= np.linalg.norm(right)
        return np.stack([right, np.cross(forward, right), forward])

    def pixels(self, i: int, points: Array) -> Array:
        """Pixels (p, 2) of points of the upright frame."""
        local = (points - self.centres()[i]) @ self.axes(i).T
        return np.asarray(local[:, :2] / local[:, 2:] * self.focal() + self.middle())

    def viewpoint(self, i: int) -> dict[str, Any]:
        """PyTorch3D's camera: x_camera = x_world R + T with axes left, up, forward; NDC with +x left and +y up."""
        left_up_forward = self.axes(i) * np.array([[-1.0], [-1.0], [1.0]])
        rotation = (left_up_forward @ self.turn.T).T
        translation = -self.world(self.centres()[i : i + 1])[0] @ rotation
        isotropic = self.kind == "ndc_isotropic"
        units = np.full(2, min(self.width, self.height) / 2)
        units = units if isotropic else np.array([self.width, self.height]) / 2
        values = {
            "R": rotation.tolist(),
            "T": translation.tolist(),
            "focal_length": (self.focal() / units).tolist(),
            "principal_point": (-np.array(self.principal) / units).tolist(),
        }
        return values if self.kind is None else {**values, "intrinsics_format": self.kind}

    def cloud(self) -> Array:
        """Points on the object's surface, its corners among them, in the frame of the annotations."""
        corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) * HALF
        filling = np.random.default_rng(0).uniform(-1, 1, (300, 3)) * HALF
        return self.world(MIDDLE + np.concatenate([corners, filling]))

    def frame(self, i: int, category: str) -> dict[str, Any]:
        """The annotation of frame ``i``."""
        folder = f"{category}/{self.name}"
        return {
            "sequence_name": self.name,
            "frame_number": i,
            "frame_timestamp": 0.1 * i,
            "image": {"path": f"{folder}/images/frame{i + 1:06d}.jpg", "size": [self.height, self.width]},
            "depth": {"path": f"{folder}/depths/frame{i + 1:06d}.jpg.geometric.png"},
            "mask": {"path": f"{folder}/masks/frame{i + 1:06d}.png", "mass": 900.0},
            "viewpoint": self.viewpoint(i),
            "meta": {"frame_type": "train", "frame_splits": []},
        }

    def sequence(self, category: str) -> dict[str, Any]:
        """The annotation of the sequence."""
        cloud = {"path": f"{category}/{self.name}/pointcloud.ply", "quality_score": 0.5, "n_points": 308}
        return {
            "sequence_name": self.name,
            "category": category,
            "video": None,
            "point_cloud": cloud,
            "viewpoint_quality_score": self.quality,
        }

    def write(self, category: Path) -> None:
        """Images, masks and point cloud."""
        folder = category / self.name
        for name in ("images", "masks"):
            (folder / name).mkdir(parents=True)
        for i in range(self.frames):
            Image.fromarray(self.picture(i)).save(
                folder / "images" / f"frame{i + 1:06d}.jpg", quality=95, subsampling=0
            )
            Image.fromarray(self.mask(i)).save(folder / "masks" / f"frame{i + 1:06d}.png")
        write_cloud(folder / "pointcloud.ply", self.cloud())

    def picture(self, i: int) -> Array:
        """Grey, with a disc at each mark."""
        image = np.full((self.height, self.width, 3), 90, np.uint8)
        for mark, colour in zip(self.pixels(i, MIDDLE + MARKS), COLOURS, strict=True):
            image[self._disc(mark, 4.0)] = colour
        return image

    def mask(self, i: int) -> Array:
        """A soft disc around the middle of the object."""
        middle = self.pixels(i, MIDDLE[None])[0]
        return np.where(self._disc(middle, 12.0), np.where(self._disc(middle, 9.0), 250, 120), 10).astype(
            np.uint8
        )

    def _disc(self, middle: Array, radius: float) -> Array:
        y, x = np.mgrid[: self.height, : self.width] + 0.5
        return np.asarray((x - middle[0]) ** 2 + (y - middle[1]) ** 2 < radius**2)


def turned(seed: int) -> Array:
    """A random rotation."""
    matrix = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]
    return np.asarray(matrix * np.sign(np.linalg.det(matrix)))


def write_cloud(path: Path, points: Array) -> None:
    header = f"ply\nformat binary_little_endian 1.0\nelement vertex {len(points)}\n"
    header += "".join(f"property float {axis}\n" for axis in "xyz")
    path.write_bytes((header + "end_header\n").encode() + points.astype("<f4").tobytes())


def write_annotations(path: Path, values: Any) -> None:
    with gzip.open(path, "wt", encoding="utf-8") as stream:
        json.dump(values, stream)


def write_category(category: Path, toys: list[Toy], files: bool = True) -> None:
    """A category's folder, its annotations and, with ``files``, what they name."""
    category.mkdir(parents=True, exist_ok=True)
    name = category.name
    # Sequences take turns, and later frames come first: nobody promises an order.
    frames = [
        toy.frame(i, name)
        for i in reversed(range(max(t.frames for t in toys)))
        for toy in toys
        if i < toy.frames
    ]
    write_annotations(category / "frame_annotations.jgz", frames)
    write_annotations(category / "sequence_annotations.jgz", [toy.sequence(name) for toy in toys])
    for toy in toys if files else []:
        toy.write(category)

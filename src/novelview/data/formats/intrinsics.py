"""The camera of a frame of a ``transforms`` file: image size, focal lengths, principal point and lens."""

from __future__ import annotations

import math
from pathlib import Path

from novelview.cameras.conventions import focal_from_fov
from novelview.data.decode import read_header
from novelview.data.formats.camera_models import camera_model, distortion
from novelview.errors import DataError
from novelview.fields import Fields
from novelview.geometry.lenses import NAMES, Lens

CAMERA_KEYS = {
    *("w", "h", "fl_x", "fl_y", "cx", "cy", "camera_angle_x", "camera_angle_y", "camera_model", "is_fisheye"),
    *("k1", "k2", "k3", "k4", "k5", "k6", "p1", "p2"),
}


def image_size(frame: Fields, image: Path) -> tuple[int, int]:
    """Width and height as the file states them, otherwise those of the image."""
    width, height = frame.number("w"), frame.number("h")
    if width is None or height is None:
        return read_header(image).size
    for key, side in (("w", width), ("h", height)):
        if side != int(side):
            raise frame.wrong(key, side, "a whole number of pixels")
    return int(width), int(height)


def intrinsics_of(
    frame: Fields, size: tuple[int, int], default_angle: float | None
) -> tuple[float, float, float, float]:
    """Focal lengths before fields of view; a missing axis takes the other's; the principal point is the centre."""
    fx = _focal(frame, "x", size[0])
    fy = _focal(frame, "y", size[1])
    if fx is None and fy is None and default_angle is not None:
        fx = _from_angle(default_angle, size[0], frame, "camera_angle_x")
    if fx is None and fy is None:
        raise DataError(
            f"{frame.label} has no focal length",
            where=frame.path,
            why="neither fl_x nor camera_angle_x is given, for this frame or for all",
            cure="add fl_x and fl_y in pixels, or camera_angle_x in radians",
        )
    cx, cy = frame.number("cx"), frame.number("cy")
    return (
        fx if fx is not None else fy,  # type: ignore[return-value]
        fy if fy is not None else fx,
        size[0] / 2 if cx is None else cx,
        size[1] / 2 if cy is None else cy,
    )


def _focal(frame: Fields, axis: str, side: int) -> float | None:
    focal, angle = frame.number(f"fl_{axis}"), frame.number(f"camera_angle_{axis}")
    if focal is not None or angle is None:
        return focal
    return _from_angle(angle, side, frame, f"camera_angle_{axis}")


def _from_angle(angle: float, side: int, frame: Fields, key: str) -> float:
    if not 0 < angle < math.pi:
        raise frame.wrong(key, angle, "an angle in radians between 0 and pi")
    return focal_from_fov(angle, side)


def lens_of(frame: Fields) -> tuple[Lens, tuple[float, ...]]:
    for key in ("ftheta_p0", "is_latlong", "latlong"):
        if frame.get(key):
            raise DataError(
                f"A lens of the kind {key!r} is not supported",
                where=frame.path,
                cure="undistort the photographs first",
            )
    name = frame.text("camera_model")
    lens = Lens.PINHOLE if name is None else camera_model(name, frame.path).lens
    if frame.flag("is_fisheye"):
        lens = Lens.FISHEYE
    # Files of pinhole cameras still carry coefficients, and nerfstudio obeys them.
    lens = Lens.OPENCV if lens == Lens.PINHOLE else lens
    return lens, distortion(lens, {key: frame.number(key) or 0.0 for key in NAMES[lens]})

"""Write posed views as a capture that any program for posed photographs can read (transforms.json)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from novelview.cameras.cameras import Cameras
from novelview.cameras.conventions import to_opengl
from novelview.data.captions import FILE as CAPTIONS
from novelview.data.scene import Scene
from novelview.errors import OutputError
from novelview.files import atomic_write_json
from novelview.geometry.lenses import Lens
from novelview.types import Views

# Depth is stored in 16 bits: one unit of the file is this many world units, so 65,535 is 32.8.
DEPTH_UNIT = 5e-4


def write_scene(folder: Path, scene: Scene) -> None:
    """Write a scene's training views, box and captions into an existing folder, in the user's coordinates.

    The views are called as in the scene, with the suffix .png in ``images``, and likewise in ``masks`` and ``depth`` where
    they have such. Images of masked views before a background show the subject's own colour up to its edge.

    Raises:
        OutputError: a camera with distortion, or depth that does not fit into 16 bits.
    """
    views = scene.train.with_cameras(scene.train.cameras.moved(scene.to_input))
    if bool((views.cameras.lens != Lens.PINHOLE).any()):
        raise OutputError(
            "Views with distortion cannot be written", where=folder, cure="undistort them first"
        )
    frames = write_views(folder, views, views.names, scene.bounds.background, scene.to_input.scale)
    for i, frame in enumerate(frames):
        frame.update(camera_fields(views.cameras[i]))
    corners = torch.cartesian_prod(*torch.tensor([scene.bounds.box_min, scene.bounds.box_max]).T.contiguous())
    box = scene.to_input.points(corners)
    document = {
        "camera_model": "PINHOLE",
        "depth_unit_scale_factor": DEPTH_UNIT,
        "aabb": [box.amin(dim=0).tolist(), box.amax(dim=0).tolist()],
        "frames": frames,
    }
    atomic_write_json(folder / "transforms.json", document)
    if scene.captions:
        atomic_write_json(folder / CAPTIONS, list(scene.captions))


def write_views(
    folder: Path,
    views: Views,
    names: Sequence[str],
    background: tuple[float, float, float] | None,
    unit: float = 1.0,
) -> list[dict[str, Any]]:
    """Write images, masks and depth where there are any; gives the frames of a transforms.json, without intrinsics.

    Args:
        folder: exists; the files go into ``images``, ``masks`` and ``depth``.
        views: in the coordinates that the file shall have.
        names: of the files, without suffix.
        background: of the images, which is taken out of pixels that masks cover in part; None: they stay as they are.
        unit: world units of the file per unit of the views' depth.

    Raises:
        OutputError: depth does not fit into 16 bits.
    """
    frames, poses = [], to_opengl(views.cameras.camera_to_world)
    for i, name in enumerate(names):
        frame: dict[str, Any] = {"file_path": f"images/{name}.png"}
        image = views.image(i)
        if views.has_depths:
            frame["depth_file_path"] = f"depth/{name}.png"
            _save(folder / frame["depth_file_path"], _depth_units(unit * views.depth(i), folder))
        if views.has_masks:
            frame["mask_path"] = f"masks/{name}.png"
            _save(folder / frame["mask_path"], _bytes(views.mask(i)))
            if background is not None:
                image = _own_colours(image, views.mask(i)[..., None], torch.tensor(background))
        _save(folder / frame["file_path"], _bytes(image))
        pose = torch.eye(4)
        pose[:3] = poses[i]
        frame["transform_matrix"] = pose.tolist()
        frames.append(frame)
    return frames


def camera_fields(camera: Cameras) -> dict[str, Any]:
    """Size and intrinsics of one camera without distortion, as transforms.json has them."""
    fx, fy, cx, cy = camera.intrinsics[0].tolist()
    width, height = camera.common_size
    return {"w": width, "h": height, "fl_x": fx, "fl_y": fy, "cx": cx, "cy": cy}


def _own_colours(
    image: Float[Tensor, "h w 3"], mask: Float[Tensor, "h w 1"], background: Float[Tensor, " 3"]
) -> Float[Tensor, "h w 3"]:
    """Colours of what the mask covers, without the background: readers blend the two by the mask."""
    own = (image - background * (1 - mask)) / mask.clamp_min(1e-6)
    return torch.where(mask > 0, own, background).clamp(0, 1)


def _bytes(values: Float[Tensor, "*shape"]) -> UInt8[np.ndarray, "*shape"]:
    return (values * 255).round().to(torch.uint8).numpy()


def _depth_units(depth: Float[Tensor, "h w"], folder: Path) -> np.ndarray:
    units = (depth / DEPTH_UNIT).round()
    if float(units.max()) > 65_535:
        raise OutputError(
            "Depth does not fit into 16 bits", where=folder, why=f"up to {float(depth.max()):.1f}"
        )
    return units.numpy().astype(np.uint16)


def _save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(pixels).save(path)

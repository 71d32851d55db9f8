"""Write a procedural scene as a capture that any program for posed photographs can read (transforms.json)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from novelview.cameras.conventions import to_opengl
from novelview.data.procedural.scenes import make_scene
from novelview.data.scene import Scene
from novelview.errors import OutputError
from novelview.files import atomic_folder
from novelview.types import Views

# Depth is stored in 16 bits: one unit of the file is this many world units, so 65,535 is 32.8.
DEPTH_UNIT = 5e-4


def write_capture(
    folder: str | Path,
    family: str,
    seed: int,
    *,
    views: int = 60,
    size: int = 128,
    test_every: int = 8,
    supersample: int = 2,
    overwrite: bool = False,
) -> Path:
    """Write scene number ``seed`` of a family: images, masks where there are any, depth, transforms.json.

    Depth is along z, in 16-bit PNG; ``depth_unit_scale_factor`` world units per unit, 0 where nothing is. Images of
    masked families show a thing's own colour up to its edge; the mask says how much of a pixel it covers.

    Returns:
        The folder.

    Raises:
        OutputError: the folder is not empty (and not ``overwrite``) or cannot be written; nothing is left behind.
    """
    with atomic_folder(folder, overwrite=overwrite) as temporary:
        scene = make_scene(
            family, seed, views=views, size=size, test_every=test_every, supersample=supersample
        )
        behind = torch.tensor(scene.bounds.background or (0.0, 0.0, 0.0))
        frames = [
            frame
            for part, views in (("train", scene.train), ("test", scene.test))
            for frame in _write_views(temporary, views, part, behind)
        ]
        (temporary / "transforms.json").write_text(json.dumps(_document(scene, frames), indent=1) + "\n")
    return Path(folder)


def _document(scene: Scene, frames: list[dict[str, Any]]) -> dict[str, Any]:
    fx, fy, cx, cy = scene.train.cameras.intrinsics[0].tolist()
    width, height = scene.train.cameras.common_size
    return {
        "camera_model": "PINHOLE",
        "w": width,
        "h": height,
        "fl_x": fx,
        "fl_y": fy,
        "cx": cx,
        "cy": cy,
        "depth_unit_scale_factor": DEPTH_UNIT,
        "aabb": [list(scene.bounds.box_min), list(scene.bounds.box_max)],
        "train_filenames": [f["file_path"] for f in frames if f["file_path"].startswith("images/train")],
        "test_filenames": [f["file_path"] for f in frames if f["file_path"].startswith("images/test")],
        "frames": frames,
    }


def _write_views(folder: Path, views: Views, part: str, background: torch.Tensor) -> list[dict[str, Any]]:
    frames, poses = [], to_opengl(views.cameras.camera_to_world)
    for i in range(len(views)):
        name = f"{part}_{i:04d}.png"
        frame: dict[str, Any] = {"file_path": f"images/{name}", "depth_file_path": f"depth/{name}"}
        image = views.image(i)
        _save(folder / "depth" / name, _depth_units(views.depth(i), folder))
        if views.has_masks:
            frame["mask_path"] = f"masks/{name}"
            image = _own_colours(image, views.mask(i)[..., None], background)
            _save(folder / "masks" / name, _bytes(views.mask(i)))
        _save(folder / "images" / name, _bytes(image))
        pose = torch.eye(4)
        pose[:3] = poses[i]
        frame["transform_matrix"] = pose.tolist()
        frames.append(frame)
    return frames


def _own_colours(image: torch.Tensor, mask: torch.Tensor, background: torch.Tensor) -> torch.Tensor:
    """Colours of what the mask covers, without the background: readers blend the two by the mask."""
    own = (image - background * (1 - mask)) / mask.clamp_min(1e-6)
    return torch.where(mask > 0, own, background).clamp(0, 1)


def _bytes(values: torch.Tensor) -> np.ndarray:
    return (values * 255).round().to(torch.uint8).numpy()


def _depth_units(depth: torch.Tensor, folder: Path) -> np.ndarray:
    units = (depth / DEPTH_UNIT).round()
    if float(units.max()) > 65_535:
        raise OutputError(
            "Depth does not fit into 16 bits", where=folder, why=f"up to {float(depth.max()):.1f}"
        )
    return units.numpy().astype(np.uint16)


def _save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(pixels).save(path)

"""Write a procedural scene as a capture that any program for posed photographs can read (transforms.json)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from novelview.data.procedural.scenes import make_scene
from novelview.data.scene import Scene
from novelview.data.write import DEPTH_UNIT, camera_fields, write_views
from novelview.files import atomic_folder


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
        frames = []
        for part, some in (("train", scene.train), ("test", scene.test)):
            names = [f"{part}_{i:04d}" for i in range(len(some))]
            frames += write_views(temporary, some, names, scene.bounds.background)
        (temporary / "transforms.json").write_text(json.dumps(_document(scene, frames), indent=1) + "\n")
    return Path(folder)


def _document(scene: Scene, frames: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "camera_model": "PINHOLE",
        **camera_fields(scene.train.cameras[0]),
        "depth_unit_scale_factor": DEPTH_UNIT,
        "aabb": [list(scene.bounds.box_min), list(scene.bounds.box_max)],
        "train_filenames": [f["file_path"] for f in frames if f["file_path"].startswith("images/train")],
        "test_filenames": [f["file_path"] for f in frames if f["file_path"].startswith("images/test")],
        "frames": frames,
    }

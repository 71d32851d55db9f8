"""What verbs need of a run folder: the scene it was trained on."""

from __future__ import annotations

from pathlib import Path

from novelview.data.open import reopen_scene
from novelview.data.procedural import make_scene
from novelview.data.scene import Scene
from novelview.training.folder import RunInfo


def open_run_scene(run: Path, info: RunInfo, data: Path | None = None) -> Scene:
    """The very scene of a run: same views, split, frame and bounds.

    Args:
        run: the run folder.
        info: what the run says of itself.
        data: where the capture is now; None: where it was, or in the same place relative to the run.
    """
    origin = info.scene.origin
    if "procedural" in origin:
        return make_scene(**origin["procedural"])
    if data is not None:
        origin = {**origin, "path": str(data)}
    return reopen_scene(origin, info.bounds, info.to_input, folder=run)

"""novelview: give it photographs, see the scene from where no camera stood.

import novelview as nv

scene = nv.open_scene("capture/")
method = nv.fit("grid", scene)
state = method.condition(scene.train, scene.bounds)
frames = method.render(state, scene.test.cameras[:1])
report = nv.evaluate(method, scene)
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_FROM_API = ("evaluate", "fit", "generate", "load", "methods", "open_scene", "preset")
_FROM_TYPES = ("Bounds", "Frames", "Views")

__all__ = ["Bounds", "Cameras", "Frames", "NovelviewError", "Views", "__version__", *_FROM_API]


def __getattr__(name: str) -> Any:
    # Loaded when first used, so that `novelview --help` does not wait for torch.
    if name in _FROM_API:
        return getattr(importlib.import_module("novelview.api"), name)
    if name in _FROM_TYPES:
        return getattr(importlib.import_module("novelview.types"), name)
    if name == "Cameras":
        return importlib.import_module("novelview.cameras.cameras").Cameras
    if name == "NovelviewError":
        return importlib.import_module("novelview.errors").NovelviewError
    raise AttributeError(f"module 'novelview' has no attribute {name!r}")

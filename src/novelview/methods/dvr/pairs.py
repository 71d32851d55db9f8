"""What a model of many shapes learns from: a photograph to look at, and another one of the same object to explain."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from threading import Lock

import torch
from jaxtyping import Float
from torch import Tensor

from novelview.cameras.cameras import Cameras
from novelview.data.decode import read_image
from novelview.data.formats.paths import photographs
from novelview.data.images import ByteCache
from novelview.data.procedural import object_scene
from novelview.data.scene import Scene
from novelview.data.visual_hull import GridField, hull_depth, visual_hull
from novelview.errors import MethodError
from novelview.random import generator_for
from novelview.types import Sample, Views

# Procedural shapes that are learnt from: they all look the same way, which a photograph tells.
FAMILY = "chair"
# Pictures of each.
VIEWS = 8
_SHOWN = "img_choy2016"
# Cells of a visual hull along the longest side of its box, and bytes of its depth maps that are kept of a scene.
CELLS, KEPT = 64, 64 << 20


def pairs_of(scene: Scene, seed: int, *, hull: bool = False, depth: bool = False) -> Callable[[int], Sample]:
    """Sample number i of a scene: two of its training views, drawn independently.

    What is looked at is one of Choy et al.'s pictures where a capture of DVR's layout has these, as published.

    Args:
        scene: with at least one training view.
        seed: of the draws.
        hull: the view to predict has the depth map of the visual hull, and no other; see :class:`HullDepths`.
        depth: the view to predict must have a depth map of the capture.

    Raises:
        MethodError: there are no depth maps, and there must be.
    """
    views = scene.train
    if depth and not views.has_depths:
        raise MethodError(
            "There are no depth maps to learn from",
            where=scene.name,
            cure="add depth maps, or learn without: --preset rgb, or --config.losses.depth 0 --config.losses.place 0",
        )
    targets = views.with_depths(HullDepths(scene).depth) if hull else views
    pictures = _shown_pictures(scene)

    def pair(index: int) -> Sample:
        generator = generator_for(seed, "pairs", index)
        shown, target = (
            int(torch.randint(count, (), generator=generator))
            for count in (len(pictures or views), len(views))
        )
        if hull:
            # Made here, where a scene whose masks leave nothing is passed over, and not in the middle of a step.
            targets.depth(target)
        source = _picture(pictures[shown], views.cameras[[0]]) if pictures else views[[shown]]
        return Sample(source, targets[[target]], scene.bounds)

    return pair


def _shown_pictures(scene: Scene) -> list[Path]:
    """Choy et al.'s pictures of an object (3D-R2N2, ECCV 2016), which stand beside its views; none of other captures."""
    origin = scene.origin
    return photographs(Path(origin["path"]) / _SHOWN) if origin.get("format") == "dvr" else []


def _picture(path: Path, camera: Cameras) -> Views:
    """A picture as a view; whence it was taken is not known, nor asked for, so the camera is any."""
    image = read_image(path)[..., :3]
    height, width = image.shape[:2]
    return Views.from_tensors(camera.resized(width, height), image[None], names=[path.name])


class HullDepths:
    """Depth maps of a scene's training views: those of the visual hull of all their masks.

    The hull is made when the first depth is asked for, a depth map when it is asked for, and both are kept; whether the
    capture has depth maps, or those of a hull (``visual_hull_depth`` of DVR's layout), does not matter: masks tell all of
    it. A hull takes about a second of one CPU core for 24 masks. ``depth`` raises ``DataError`` where there are no masks,
    or where no point is inside all of them.
    """

    def __init__(self, scene: Scene) -> None:
        self._views, self._bounds = scene.train, scene.bounds
        self._field: GridField | None = None
        self._lock = Lock()
        self._depths = ByteCache(KEPT)

    def depth(self, view: int) -> Float[Tensor, "h w"]:
        """Depth along z of the hull in a training view, 0 where it is not met."""
        return self._depths.get(view, lambda: hull_depth(self._hull(), self._views.cameras[view]))

    def _hull(self) -> GridField:
        with self._lock:
            if self._field is None:
                lower, upper = (torch.tensor(c) for c in (self._bounds.box_min, self._bounds.box_max))
                # The first point inside all masks is what is published.
                self._field = visual_hull(self._views, lower, upper, CELLS, agreement=1.0)
            return self._field


class ShapePairs:
    """Samples of procedural shapes, drawn when one is first asked for and kept.

    Args:
        shapes: how many there are.
        size: width and height of their pictures.
        seed: of the draws.
        hull: see :func:`pairs_of`.
    """

    def __init__(self, shapes: int, size: int, seed: int, *, hull: bool = False) -> None:
        self._shapes, self._seed, self._size, self._hull = shapes, seed, size, hull
        self._pairs = lru_cache(shapes)(self._pairs_of)

    def item(self, index: int) -> Sample:
        """Sample number ``index``; depends on it and the seed alone."""
        generator = generator_for(self._seed, "shapes", index)
        shape = int(torch.randint(self._shapes, (), generator=generator))
        return self._pairs(shape)(index)

    def _pairs_of(self, shape: int) -> Callable[[int], Sample]:
        scene = object_scene(
            FAMILY, shape, views=VIEWS, size=self._size, test_every=0, supersample=1, upper=True
        )
        return pairs_of(scene, self._seed, hull=self._hull)

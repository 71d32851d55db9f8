"""The few objects that cross folders: ``Views``, ``Sample``, ``RayBatch``, ``Frames`` and ``Bounds``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor

from novelview.cameras.cameras import Cameras
from novelview.errors import DataError
from novelview.geometry.rays import Rays


class ImageSource(ABC):
    """Where the pixels of a capture come from: files, tensors or a renderer. ``index`` counts over the capture."""

    has_masks: bool = False
    has_depths: bool = False
    has_sparse_depths: bool = False

    @abstractmethod
    def image(self, index: int) -> Float[Tensor, "h w 3"]:
        """Colours in [0, 1], sRGB as stored."""

    def mask(self, index: int) -> Float[Tensor, "h w"]:
        """Foreground coverage in [0, 1]; only where ``has_masks``."""
        raise NotImplementedError

    def depth(self, index: int) -> Float[Tensor, "h w"]:
        """Depth along z in world units, 0 where unknown; only where ``has_depths``."""
        raise NotImplementedError

    def sparse_depth(self, index: int) -> Float[Tensor, "h w"]:
        """Depth along z of the few points that are known, world units, 0 elsewhere; only where ``has_sparse_depths``."""
        raise NotImplementedError


class TensorImages(ImageSource):
    """Images that are already in memory."""

    def __init__(
        self,
        images: Float[Tensor, "n h w 3"],
        masks: Float[Tensor, "n h w"] | None = None,
        depths: Float[Tensor, "n h w"] | None = None,
    ) -> None:
        self._images, self._masks, self._depths = images, masks, depths
        self.has_masks, self.has_depths = masks is not None, depths is not None

    def image(self, index: int) -> Float[Tensor, "h w 3"]:
        return self._images[index]

    def mask(self, index: int) -> Float[Tensor, "h w"]:
        assert self._masks is not None
        return self._masks[index]

    def depth(self, index: int) -> Float[Tensor, "h w"]:
        assert self._depths is not None
        return self._depths[index]


@dataclass(frozen=True)
class Views:
    """Posed images whose pixels are read when they are asked for.

    Attributes:
        cameras: one camera per view.
        names: one name per view, unique, as the user knows it (usually the file name).
        source: gives the pixels.
        indices: position of each view in ``source``.
    """

    cameras: Cameras
    names: tuple[str, ...]
    source: ImageSource
    indices: tuple[int, ...]

    @staticmethod
    def from_tensors(
        cameras: Cameras,
        images: Float[Tensor, "n h w 3"],
        masks: Float[Tensor, "n h w"] | None = None,
        depths: Float[Tensor, "n h w"] | None = None,
        names: Sequence[str] | None = None,
    ) -> Views:
        """Views out of arrays; colours in [0, 1]."""
        count, height, width = images.shape[:3]
        if len(cameras) != count or (count and cameras.common_size != (width, height)):
            raise DataError(
                "Images and cameras do not fit together",
                why=f"{count} images of {width}x{height}, cameras of sizes {cameras.sizes.tolist()}",
                cure="give one camera per image, with the size of its image",
            )
        return Views(
            cameras=cameras,
            names=tuple(names) if names is not None else tuple(f"view_{i:04d}" for i in range(count)),
            source=TensorImages(images, masks, depths),
            indices=tuple(range(count)),
        )

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int | slice | Sequence[int]) -> Views:
        """A subset, in the order asked for; a single integer gives one view."""
        if isinstance(index, int):
            chosen = [range(len(self))[index]]
        elif isinstance(index, slice):
            chosen = list(range(len(self)))[index]
        else:
            chosen = [range(len(self))[i] for i in index]
        return Views(
            cameras=self.cameras[chosen],
            names=tuple(self.names[i] for i in chosen),
            source=self.source,
            indices=tuple(self.indices[i] for i in chosen),
        )

    @property
    def has_masks(self) -> bool:
        return self.source.has_masks

    @property
    def has_depths(self) -> bool:
        return self.source.has_depths

    @property
    def has_sparse_depths(self) -> bool:
        """Whether the capture says which sparse points views see; apart from ``has_depths``."""
        return self.source.has_sparse_depths

    def image(self, i: int) -> Float[Tensor, "h w 3"]:
        """Colours of view ``i`` in [0, 1]."""
        return self.source.image(self.indices[i])

    def mask(self, i: int) -> Float[Tensor, "h w"]:
        """Foreground coverage of view ``i`` in [0, 1]."""
        return self.source.mask(self.indices[i])

    def depth(self, i: int) -> Float[Tensor, "h w"]:
        """Depth along z of view ``i``, 0 where unknown."""
        return self.source.depth(self.indices[i])

    def sparse_depth(self, i: int) -> Float[Tensor, "h w"]:
        """Depth along z of the sparse points that view ``i`` sees, 0 elsewhere; only where ``has_sparse_depths``."""
        return self.source.sparse_depth(self.indices[i])

    def images(self) -> Float[Tensor, "n h w 3"]:
        """All images at once; every view must have the same size (``CameraError`` otherwise)."""
        _ = self.cameras.common_size
        return torch.stack([self.image(i) for i in range(len(self))])

    def masks(self) -> Float[Tensor, "n h w"]:
        """All masks at once; only where ``has_masks``."""
        _ = self.cameras.common_size
        return torch.stack([self.mask(i) for i in range(len(self))])

    def depths(self) -> Float[Tensor, "n h w"]:
        """All depth maps at once; only where ``has_depths``."""
        _ = self.cameras.common_size
        return torch.stack([self.depth(i) for i in range(len(self))])

    def with_depths(self, depth: Callable[[int], Float[Tensor, "h w"]]) -> Views:
        """The same views with other depth maps: those of ``depth``, called with a view's number among these."""
        return Views(self.cameras, self.names, _OtherDepths(self, depth), tuple(range(len(self))))

    def with_cameras(self, cameras: Cameras) -> Views:
        """The same pixels seen by other cameras, for example in another world frame."""
        return replace(self, cameras=cameras)


@dataclass(frozen=True)
class Sample:
    """What a feed-forward method learns from: views it may look at, views it must predict, and the scene's extent.

    Attributes:
        sources: may be looked at.
        targets: must be predicted.
        bounds: of the scene.
        caption: what the views show, in words; empty where nobody said.
    """

    sources: Views
    targets: Views
    bounds: Bounds
    caption: str = ""


class _OtherDepths(ImageSource):
    """Colours and masks of views, with depth maps of another origin."""

    has_depths = True

    def __init__(self, views: Views, depth: Callable[[int], Float[Tensor, "h w"]]) -> None:
        self._views, self._depth, self.has_masks = views, depth, views.has_masks

    def image(self, index: int) -> Float[Tensor, "h w 3"]:
        return self._views.image(index)

    def mask(self, index: int) -> Float[Tensor, "h w"]:
        return self._views.mask(index)

    def depth(self, index: int) -> Float[Tensor, "h w"]:
        return self._depth(index)


@dataclass(frozen=True)
class RayBatch:
    """What a per-scene method learns from: rays and the colours seen along them.

    Attributes:
        rays: in scene coordinates; ``t`` is depth along z of the ray's camera.
        rgb: colour of the pixel, [0, 1].
        view: which training view each ray comes from.
        views: how many views rays are drawn from.
        mask: foreground coverage of the pixel, where the scene has masks.
        depth: depth along z, 0 where unknown, where the scene has depths.
    """

    rays: Rays
    rgb: Float[Tensor, "r 3"]
    view: Int[Tensor, " r"]
    views: int
    mask: Float[Tensor, " r"] | None = None
    depth: Float[Tensor, " r"] | None = None

    def __len__(self) -> int:
        return self.rgb.shape[0]

    def __getitem__(self, index: slice | Tensor) -> RayBatch:
        return RayBatch(
            rays=self.rays[index],
            rgb=self.rgb[index],
            view=self.view[index],
            views=self.views,
            mask=None if self.mask is None else self.mask[index],
            depth=None if self.depth is None else self.depth[index],
        )

    def to(self, device: torch.device | str) -> RayBatch:
        return RayBatch(
            rays=self.rays.to(device),
            rgb=self.rgb.to(device),
            view=self.view.to(device),
            views=self.views,
            mask=None if self.mask is None else self.mask.to(device),
            depth=None if self.depth is None else self.depth.to(device),
        )


Batch: TypeAlias = RayBatch | tuple[Sample, ...]
"""What a training step is made of: rays for per-scene methods, samples for feed-forward ones."""


@dataclass(frozen=True)
class Frames:
    """What a method renders.

    Attributes:
        rgb: colours in [0, 1].
        depth: along z in scene units, where the method knows it.
        opacity: in [0, 1], 0 where the ray met nothing, where the method knows it.
    """

    rgb: Float[Tensor, "n h w 3"]
    depth: Float[Tensor, "n h w"] | None = None
    opacity: Float[Tensor, "n h w"] | None = None

    def __len__(self) -> int:
        return self.rgb.shape[0]

    def __getitem__(self, index: slice) -> Frames:
        """Some of them."""
        parts = (self.rgb, self.depth, self.opacity)
        return Frames(*(None if part is None else part[index] for part in parts))  # type: ignore[arg-type]

    @staticmethod
    def concatenate(parts: Sequence[Frames]) -> Frames:
        """All frames of ``parts`` in order; a channel is kept where every part has it."""

        def joined(channels: list[Tensor | None]) -> Tensor | None:
            known = [channel for channel in channels if channel is not None]
            return torch.cat(known) if len(known) == len(channels) else None

        return Frames(
            rgb=torch.cat([part.rgb for part in parts]),
            depth=joined([part.depth for part in parts]),
            opacity=joined([part.opacity for part in parts]),
        )


@dataclass(frozen=True)
class FrontView:
    """The view that all cameras of a forward-facing scene nearly share; scene units, OpenCV axes.

    Attributes:
        pose: camera-to-world of the mean camera, three rows of four.
        half_size: half width and half height of its image at depth 1.
        REACH: all that the cameras see is inside an image that is so much larger.
    """

    REACH: ClassVar[float] = 1.5

    pose: tuple[tuple[float, ...], ...]
    half_size: tuple[float, float]


@dataclass(frozen=True)
class Bounds:
    """What a per-scene method must know of a scene's extent before it has seen a pixel; scene units.

    Attributes:
        near: smallest depth along z at which a camera of the scene can see something.
        far: largest such depth; ``inf`` for a scene with sky.
        box_min: lower corner of the box that holds the part of the scene worth resolution.
        box_max: upper corner of that box.
        unbounded: whether things beyond the box are visible and must be represented.
        background: colour behind everything, None where the scene fills every ray.
        forward_facing: whether all cameras look the same way, so that NDC makes sense.
        front: the view they share, where they look the same way.
    """

    near: float
    far: float
    box_min: tuple[float, float, float]
    box_max: tuple[float, float, float]
    unbounded: bool = True
    background: tuple[float, float, float] | None = None
    forward_facing: bool = False
    front: FrontView | None = None

    @property
    def middle_depth(self) -> float:
        """The depth in the middle of the disparity range: the harmonic mean of near and far."""
        return 2 / (1 / self.near + 1 / self.far)

    def to_json(self) -> dict[str, Any]:
        values = asdict(self)
        values["far"] = None if self.far == float("inf") else self.far
        return values

    @staticmethod
    def from_json(values: dict[str, Any]) -> Bounds:
        background, front = values["background"], values.get("front")
        return Bounds(
            near=float(values["near"]),
            far=float("inf") if values["far"] is None else float(values["far"]),
            box_min=tuple(values["box_min"]),
            box_max=tuple(values["box_max"]),
            unbounded=bool(values["unbounded"]),
            background=None if background is None else tuple(background),
            forward_facing=bool(values["forward_facing"]),
            front=None if front is None else _front_from_json(front),
        )


def _front_from_json(values: dict[str, Any]) -> FrontView:
    half_width, half_height = values["half_size"]
    return FrontView(tuple(tuple(row) for row in values["pose"]), (half_width, half_height))

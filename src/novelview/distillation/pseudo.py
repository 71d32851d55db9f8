"""Pseudo views: what a trained method, the teacher, sees from where no camera stood (R2L, ECCV 2022)."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from novelview.cameras.arrangement import looks_inward
from novelview.cameras.cameras import Cameras
from novelview.cameras.envelope import Box, Envelope, Hull
from novelview.cameras.shell import Shell
from novelview.distillation.ring import SHARD_BYTES, Ring
from novelview.errors import ConfigError, MethodError
from novelview.methods.method import Method
from novelview.types import Bounds, ImageSource, Views

# Nothing is nearer to a camera than the nearest depth: a part of that is free to move in.
ASIDE = 0.4


def envelope_of(cameras: Cameras, bounds: Bounds) -> Envelope:
    """The form of envelope that suits how the real cameras stand.

    Cameras that all look the same way give a box, and those around one object a shell. All others give a hull: where
    there is a background, a teacher knows it from about where the photographs were taken.
    """
    if bounds.forward_facing:
        return Box(cameras)
    if looks_inward(cameras) and not bounds.unbounded:
        return Shell(cameras)
    return Hull(cameras, ASIDE * bounds.near)


def picture_key(teacher: Method, cameras: Cameras, *facts: str) -> str:
    """What names the pictures of a teacher at these cameras in a :class:`Ring`: a digest of all that they depend on.

    Args:
        teacher: whose weights count.
        cameras: all of them, in their order.
        facts: whatever else the teacher's state was made of, such as the names of the views it was conditioned on.
    """
    digest = hashlib.blake2b("\n".join([type(teacher).__qualname__, *facts]).encode(), digest_size=16)
    poses = (cameras.camera_to_world, cameras.intrinsics, cameras.sizes, cameras.lens, cameras.distortion)
    named = {**teacher.state_dict(), **{f"camera {i}": value for i, value in enumerate(poses)}}
    for name, value in named.items():
        digest.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def picture_ring(folder: str | Path | None, cameras: Cameras, key: str, *, most_bytes: int = 1 << 30) -> Ring:
    """A ring that keeps the pictures of all these cameras, or the last ones where they would fill more bytes.

    A crash costs at most a sixteenth of them, or 32 MB.

    Args:
        folder: of its own; None: in memory.
        cameras: of one size.
        key: see :func:`picture_key`.
        most_bytes: of pictures, on disk or in memory.

    Raises:
        CameraError: the cameras differ in size.
        ConfigError: fewer bytes than two pictures have.
    """
    width, height = cameras.common_size
    each, count = 3 * width * height, len(cameras)
    if most_bytes < 2 * each:
        raise ConfigError(
            f"{most_bytes} bytes are too few for pictures of {width}x{height}",
            cure=f"allow at least {2 * each}",
        )
    # The shard that is being gathered has its place too.
    views = max(1, min(SHARD_BYTES // each, math.ceil(count / 16), most_bytes // (2 * each)))
    shards = min(math.ceil(count / views), most_bytes // (views * each) - 1)
    return Ring(folder, (width, height), key, shards=shards, views=views)


class TeacherImages(ImageSource):
    """Image ``i`` is what the teacher renders at camera ``i``, at 8 bits per colour.

    Pictures that the ring has are not rendered; both ways give the same bits. Any thread may ask, one renders at a
    time. The teacher must be ready to render: in evaluation mode, and not trained meanwhile.

    Args:
        teacher: renders on the device that it is on.
        state: what its ``condition`` returned.
        cameras: of one size, that of the ring's pictures.
        ring: of :func:`picture_key`.
        rendered: called after each rendering with the number of the camera; for progress.

    Raises:
        CameraError: the cameras differ in size.
        ConfigError: the ring is for pictures of another size.
    """

    def __init__(
        self,
        teacher: Method,
        state: Any,
        cameras: Cameras,
        ring: Ring,
        rendered: Callable[[int], None] | None = None,
    ) -> None:
        if cameras.common_size != ring.size:
            raise ConfigError(
                "The ring of pictures does not fit the cameras",
                why=f"it is for pictures of {ring.size}, the cameras have {cameras.common_size}",
                cure="make the ring with the cameras' common_size",
            )
        self._teacher, self._state, self._cameras, self._ring = teacher, state, cameras, ring
        self._rendered, self._lock = rendered, Lock()

    def image(self, index: int) -> Float[Tensor, "h w 3"]:
        """Colours in [0, 1], each a multiple of 1/255.

        Raises:
            MethodError: the teacher's picture is of another size, or not finite.
            OutputError: the ring cannot be written.
        """
        picture = self._ring.get(index)
        if picture is None:
            with self._lock:
                # Another thread may have rendered it while this one waited.
                picture = self._ring.get(index)
                if picture is None:
                    picture = self._render(index)
                    self._ring.put(index, picture)
                    if self._rendered is not None:
                        self._rendered(index)
        return picture.float() / 255

    @torch.no_grad()
    def _render(self, index: int) -> UInt8[Tensor, "h w 3"]:
        device = next((value.device for value in self._teacher.parameters()), torch.device("cpu"))
        # One camera at a time: what stands beside it in a batch could change the last bits.
        rgb = self._teacher.render(self._state, self._cameras[index].to(device)).rgb
        width, height = self._ring.size
        if tuple(rgb.shape) != (1, height, width, 3):
            why = f"it has the shape {tuple(rgb.shape)}, expected {(1, height, width, 3)}"
        elif not bool(rgb.isfinite().all()):
            why = "some of its colours are not finite"
        else:
            return (rgb[0].float().clamp(0, 1) * 255).round().to(torch.uint8).cpu()
        raise MethodError(
            "The teacher's picture cannot be learnt from",
            where=f"pseudo view {index}",
            why=why,
            cure="check the teacher by rendering a few views of it",
        )


def pseudo_views(
    teacher: Method,
    state: Any,
    cameras: Cameras,
    ring: Ring,
    rendered: Callable[[int], None] | None = None,
) -> Views:
    """Views whose pixels the teacher renders when they are asked for; see :class:`TeacherImages`."""
    count = len(cameras)
    return Views(
        cameras=cameras,
        names=tuple(f"pseudo_{i:06d}" for i in range(count)),
        source=TeacherImages(teacher, state, cameras, ring, rendered),
        indices=tuple(range(count)),
    )

"""Frames as a video that plays everywhere: H.264 in MP4, encoded while the frames are rendered."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.error import FFmpegError
from av.video.reformatter import ColorRange, Colorspace
from jaxtyping import Float
from torch import Tensor

from novelview.errors import OutputError
from novelview.export.frames import to_bytes
from novelview.files import atomic_file

CODEC = "libx264"
# H.264's "constant rate factor": 18 is visually lossless.
OPTIONS = {"crf": "18", "preset": "medium"}
_BT709 = 1


def write_video(path: str | Path, frames: Iterable[Float[Tensor, "h w 3"]], *, fps: float = 30.0) -> int:
    """Encode frames as they come and return how many there were; only one frame is in memory.

    The pixel format is yuv420p in BT.709 colours, which every player and browser decodes. It needs even
    sizes, so an odd frame is padded by repeating its last row or column.

    Args:
        path: file to write, usually ``*.mp4``; appears when the last frame is encoded.
        frames: colours in [0, 1], all of one size.
        fps: frames per second.

    Raises:
        OutputError: there is no frame, frames differ in size, this build of PyAV has no H.264 encoder, or the
            file cannot be written.
    """
    if not 0 < fps <= 1000:
        raise OutputError(f"Bad frame rate {fps}", where=path, cure="give frames per second, such as 30")
    count = 0
    with atomic_file(path) as temporary:
        try:
            with av.open(str(temporary), "w", format="mp4", options={"movflags": "faststart"}) as container:
                stream: Any = None
                for frame in frames:
                    picture = _even(to_bytes(frame))
                    stream = stream or _add_stream(container, picture, fps, path)
                    for packet in stream.encode(_video_frame(picture, stream, path)):
                        container.mux(packet)
                    count += 1
                if stream is None:
                    raise OutputError("There is no frame to make a video of", where=path)
                for packet in stream.encode():
                    container.mux(packet)
        except FFmpegError as error:
            raise OutputError("Cannot encode the video", where=path, why=str(error)) from error
    return count


def _add_stream(container: Any, picture: np.ndarray, fps: float, path: str | Path) -> Any:
    try:
        stream = container.add_stream(CODEC, rate=Fraction(fps).limit_denominator(1001), options=OPTIONS)
    except (ValueError, FFmpegError) as error:
        raise OutputError(
            "Cannot encode the video",
            where=path,
            why=f"this build of PyAV has no encoder {CODEC}",
            cure="reinstall it with `pip install --force-reinstall av`, or write a folder of frames instead",
        ) from error
    stream.height, stream.width = picture.shape[:2]
    stream.pix_fmt = "yuv420p"
    context = stream.codec_context
    context.color_primaries = context.color_trc = context.colorspace = _BT709
    context.color_range = ColorRange.MPEG
    return stream


def _video_frame(picture: np.ndarray, stream: Any, path: str | Path) -> av.VideoFrame:
    if picture.shape[:2] != (stream.height, stream.width):
        raise OutputError(
            "The frames of a video must have one size",
            where=path,
            why=f"{stream.width}x{stream.height} at first, then {picture.shape[1]}x{picture.shape[0]}",
            cure="render all cameras at one size",
        )
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
    return frame.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG)


def _even(picture: np.ndarray) -> np.ndarray:
    height, width = picture.shape[:2]
    return np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")

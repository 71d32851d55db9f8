"""Videos: what was put in comes out, nothing half-written, frames taken one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from torch import Tensor

from novelview.errors import OutputError
from novelview.export import video
from novelview.export.video import write_video


def decoded(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


COLOURS = [(0.9, 0.1, 0.1), (0.1, 0.8, 0.2), (0.1, 0.2, 0.9), (0.5, 0.5, 0.5), (1.0, 1.0, 1.0)]


def test_colours_survive(tmp_path: Path) -> None:
    flat = [torch.tensor(colour).expand(48, 64, 3) for colour in COLOURS]
    assert write_video(tmp_path / "a.mp4", flat, fps=10.0) == len(COLOURS)
    for colour, picture in zip(COLOURS, decoded(tmp_path / "a.mp4"), strict=True):
        np.testing.assert_allclose(picture.mean(axis=(0, 1)) / 255, colour, atol=0.02)


def test_the_file_says_what_it_is(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", [torch.rand(33, 45, 3) for _ in range(6)], fps=12.5)
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        assert (context.name, context.pix_fmt) == ("h264", "yuv420p")
        assert (context.width, context.height) == (46, 34)
        assert (context.colorspace, context.color_range) == (1, 1)
        assert float(stream.average_rate or 0) == 12.5
        assert stream.frames == 6


def test_padding_repeats_the_last_row_and_column(tmp_path: Path) -> None:
    picture = torch.zeros(17, 31, 3)
    picture[:, 15:] = 1
    write_video(tmp_path / "a.mp4", [picture])
    (found,) = decoded(tmp_path / "a.mp4")
    assert found.shape == (18, 32, 3)
    assert found[:, 31].min() > 240


def test_frames_are_taken_one_at_a_time(tmp_path: Path) -> None:
    alive = 0

    class Counted:
        def __init__(self) -> None:
            nonlocal alive
            alive += 1

        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    def frames() -> Iterator[Tensor]:
        for _ in range(20):
            frame = torch.rand(16, 16, 3)
            frame.token = Counted()  # type: ignore[attr-defined]
            assert alive <= 2
            yield frame

    assert write_video(tmp_path / "a.mp4", frames()) == 20


def test_a_failure_leaves_the_old_video(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", [torch.zeros(16, 16, 3)])
    before = (tmp_path / "a.mp4").read_bytes()

    def failing() -> Iterator[Tensor]:
        yield torch.ones(16, 16, 3)
        raise RuntimeError("the renderer failed")

    with pytest.raises(RuntimeError, match="the renderer failed"):
        write_video(tmp_path / "a.mp4", failing())
    assert (tmp_path / "a.mp4").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_what_cannot_be_a_video_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OutputError, match="no frame"):
        write_video(tmp_path / "a.mp4", [])
    with pytest.raises(OutputError, match="16x16 at first, then 18x16"):
        write_video(tmp_path / "a.mp4", [torch.zeros(16, 16, 3), torch.zeros(16, 18, 3)])
    with pytest.raises(OutputError, match="frame rate"):
        write_video(tmp_path / "a.mp4", [torch.zeros(16, 16, 3)], fps=0.0)
    monkeypatch.setattr(video, "CODEC", "no_such_encoder")
    with pytest.raises(OutputError, match="no encoder no_such_encoder"):
        write_video(tmp_path / "a.mp4", [torch.zeros(16, 16, 3)])
    assert not list(tmp_path.iterdir())

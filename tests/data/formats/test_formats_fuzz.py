"""Spoiled captures: whatever is in the files, the reader either reads them or says what is wrong."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from novelview.data.formats import read_capture
from novelview.errors import NovelviewError

FORMATS = [
    "transforms",
    "blender",
    "llff",
    "colmap text",
    "colmap binary",
    "lvsm-json",
    "re10k",
    "idr",
    "dvr",
]
SETTINGS = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
Files = dict[str, bytes]

numbers = st.one_of(
    st.floats(), st.integers(), st.sampled_from([0, -1, 1e-320, 1e308, 2**31, 2**63, 2**64, 10**400])
)
texts = st.one_of(
    st.text(max_size=8),
    st.sampled_from(
        ["", ".", "..", "../x", "/", "C:\\x", "\0", "\ud800", "images", "images/0.png", "x" * 400, "~"]
    ),
)
scalars = st.one_of(st.none(), st.booleans(), numbers, texts)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=3)
)


def places(value: Any, at: tuple = ()) -> list[tuple]:
    """The path of every value inside a JSON value."""
    entries = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    return [path for key, inner in entries for path in [(*at, key), *places(inner, (*at, key))]]


@st.composite
def spoiled_json(draw: st.DrawFn, files: Files) -> Files:
    """One to three values of the JSON files replaced or removed."""
    name = draw(st.sampled_from(sorted(name for name in files if name.endswith(".json"))))
    data = json.loads(files[name])
    for _ in range(draw(st.integers(1, 3))):
        *parents, last = draw(st.sampled_from(places(data) or [("frames",)]))
        target = data
        for key in parents:
            target = target[key]
        if draw(st.booleans()):
            target[last] = draw(values)
        elif last in target or isinstance(target, list):
            del target[last]
    return files | {name: json.dumps(data).encode()}


@st.composite
def spoiled_bytes(draw: st.DrawFn, files: Files) -> Files:
    """One file cut, or overwritten in places; sometimes a file removed."""
    described = sorted(name for name in files if not name.endswith(".png"))
    if draw(st.integers(0, 9)) == 0:
        gone = draw(st.sampled_from(sorted(files)))
        return {name: content for name, content in files.items() if name != gone}
    name = draw(st.sampled_from(described))
    data = bytearray(files[name])
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data)))
        piece = draw(
            st.one_of(st.binary(max_size=9), st.sampled_from([b"\xff" * 8, b"\0" * 8, b"\n", b"-", b" "]))
        )
        end = at + draw(st.sampled_from([0, len(piece), len(data)]))
        data[at:end] = piece
    return files | {name: bytes(data)}


def check(files: Files) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            path = Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        try:
            capture = read_capture(folder)
        except NovelviewError as error:
            str(error).encode()
            return
    cameras = capture.cameras
    rotations = cameras.rotations
    identity = torch.eye(3).expand_as(rotations)
    torch.testing.assert_close(rotations @ rotations.transpose(1, 2), identity, atol=1e-5, rtol=0)
    for values_of in (cameras.camera_to_world, cameras.intrinsics, cameras.distortion):
        assert bool(values_of.isfinite().all())
    assert bool((cameras.sizes > 0).all())
    assert bool((cameras.intrinsics[:, :2] > 0).all())
    assert len(cameras) == len(capture.files) == len(set(capture.names)) > 0
    assert all(files.image.is_relative_to(Path(folder).resolve()) for files in capture.files)
    " ".join(capture.notes).encode()


@pytest.mark.parametrize("name", FORMATS)
def test_spoiled_bytes(every_format: dict[str, Files], name: str) -> None:
    @SETTINGS
    @given(spoiled_bytes(every_format[name]))
    def run(files: Files) -> None:
        check(files)

    run()


@pytest.mark.parametrize("name", ["transforms", "blender", "lvsm-json"])
def test_spoiled_json(every_format: dict[str, Files], name: str) -> None:
    @settings(SETTINGS, max_examples=150)
    @given(spoiled_json(every_format[name]))
    def run(files: Files) -> None:
        check(files)

    run()

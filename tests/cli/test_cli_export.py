"""``novelview export --to onnx`` and ``--to web``, with a method whose light field is known."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from novelview.cameras.cameras import Cameras
from novelview.cli import export_light_field
from novelview.cli.main import main
from novelview.cli.options import MethodOptions
from novelview.data.open import open_scene
from novelview.data.procedural import write_capture
from novelview.data.scene import Scene
from novelview.export.onnx import read_onnx
from novelview.export.web.runtime import FILES
from novelview.light_field import LightField
from novelview.methods.method import Loss, Method
from novelview.random import Draws
from novelview.types import Batch, Bounds, Frames, Views

pytest.importorskip("onnxscript", reason="the extra onnx is not installed")
pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")


class Stripes(nn.Module):
    """Colours that tell where in the scene's own frame a ray is two units from its origin, along depth."""

    def __init__(self) -> None:
        super().__init__()
        self.phase = nn.Parameter(torch.tensor([0.0, 1.0, 2.0]))

    def forward(self, origins: Tensor, directions: Tensor) -> Tensor:
        return 0.5 + 0.5 * (origins + 2 * directions + self.phase).sin()


class Striped(Method):
    """As much of a method as an export needs."""

    def __init__(self) -> None:
        super().__init__()
        self.stripes = Stripes()

    def condition(self, views: Views, bounds: Bounds) -> str:
        return "state"

    def render(self, state: Any, cameras: Cameras) -> Frames:
        return self.light_field(state).render(cameras)

    def loss(self, batch: Batch, step: int, draws: Draws) -> Loss:
        raise NotImplementedError

    def light_field(self, state: Any) -> LightField:
        assert state == "state"
        return LightField(self.stripes)


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """The scene that the command finds, for whatever run it is told."""
    found = open_scene(write_capture(tmp_path / "toy", "object", 10, views=10, size=24))
    traits = SimpleNamespace(exports=frozenset({"onnx", "web"}))
    info = SimpleNamespace(spec=SimpleNamespace(title="Stripes", traits=traits))
    monkeypatch.setattr(MethodOptions, "load", lambda self, device: (Striped(), info, tmp_path / "run"))
    monkeypatch.setattr("novelview.cli.export.scene_to_show", lambda run, info, options: found)
    monkeypatch.setattr("novelview.cli.export.folder_for", lambda run, info, scene: run)
    return found


def test_onnx_is_in_the_captures_coordinates(
    scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "run", "--to", "onnx"]) == 0
    assert "dB against the method's own pictures" in " ".join(capsys.readouterr().out.split())
    light_field, card = read_onnx(tmp_path / "run" / "light_field.onnx")
    camera = scene.train.cameras[3:4]
    expected = LightField(Stripes()).render(camera).rgb
    found = light_field.render(camera.moved(scene.to_input)).rgb
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
    assert scene.to_input.scale != 1
    assert card.near == pytest.approx(scene.bounds.near * scene.to_input.scale)


def test_a_page_is_made_and_how_to_see_it_is_said(
    scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runtime = tmp_path / "runtime"
    runtime.mkdir()
    for name in FILES:
        (runtime / name).write_text("")
    words = ["--to", "web", "--size", "48x32", "--variant", "float16", "--runtime", str(runtime)]
    assert main(["export", "run", *words, "--out", str(tmp_path / "page")]) == 0
    assert "python3 -m http.server" in capsys.readouterr().out
    facts = json.loads((tmp_path / "page" / "scene.json").read_text())
    assert (facts["size"], facts["variant"]) == ([48, 32], "float16")
    assert len(facts["views"]) == export_light_field._CHECKS


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--to", "onnx", "--lossless"], "none of these options: --view, --camera, --lossless"),
        (["--to", "onnx", "--size", "8x8"], "none of these options: --size, --runtime"),
        (["--variant", "int8"], "none of these options: --variant"),
        (["--to", "layers"], "makes no layers"),
        (["--to", "web", "--size", "big"], "WIDTHxHEIGHT"),
        (["--to", "web", "--size", "0x5"], "WIDTHxHEIGHT"),
        (["--to", "web", "--runtime", "nowhere"], "There is no ort.webgpu.min.mjs"),
    ],
)
def test_what_makes_no_sense_is_said(
    scene: Scene, tmp_path: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "run", *words]) == 2
    assert said in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "run").exists()

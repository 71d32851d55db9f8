"""R2L's practical form in a real browser: the page draws what torch renders."""

from __future__ import annotations

import base64
import io
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from browser import chromium, find_chromium, served
from PIL import Image

from novelview.cameras.cameras import Cameras
from novelview.data.procedural import make_scene
from novelview.errors import MissingDependencyError
from novelview.export.web.runtime import runtime_folder
from novelview.methods.r2l import METHOD
from novelview.methods.r2l.config import LiftedConfig
from novelview.methods.recipe import Recipe
from novelview.training import fit, load_method

pytest.importorskip("onnxscript", reason="the extra onnx is not installed")
pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A little light field, learnt from photographs."""
    out = tmp_path_factory.mktemp("r2l") / "run"
    config = METHOD.preset("grid").config
    volume = replace(config.lifted.volume, resolution=24, colour_resolution=16, stages=2)
    scene = make_scene("object", 10, views=14, size=32, supersample=1)
    recipe = Recipe(steps=80, batch=512, learning_rate=0.4)
    fit(
        METHOD, scene, config=replace(config, lifted=LiftedConfig(volume)), recipe=recipe, out=out, quiet=True
    )
    return out


def export(run: Path, *words: str) -> None:
    # In a process of its own: checks of shapes on every call would ask for sizes that are unknown while tracing.
    command = "import sys; from novelview.cli.main import main; sys.exit(main(sys.argv[1:]))"
    words = ("export", str(run), *words)
    done = subprocess.run(
        [sys.executable, "-c", command, *words], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_page_draws_what_torch_renders(run: Path, tmp_path: Path) -> None:
    if find_chromium() is None:
        pytest.skip("there is no Chromium here")
    try:
        runtime = runtime_folder(None)
    except MissingDependencyError as error:
        pytest.skip(f"onnxruntime-web is not here: {error.why}")
    export(run, "--to", "web", "--out", str(tmp_path / "page"), "--runtime", str(runtime))
    view = json.loads((tmp_path / "page" / "scene.json").read_text())["views"][0]
    with chromium(tmp_path / "profile") as page, served(tmp_path / "page") as address:
        page.open(f"{address}/?view=0&size=60x60&backend=wasm")
        page.wait_for("document.documentElement.dataset.state === 'still'")
        data = page.evaluate("document.getElementById('picture').toDataURL()")
    with Image.open(io.BytesIO(base64.b64decode(data.partition(",")[2]))) as picture:
        found = torch.from_numpy(np.asarray(picture.convert("RGB"), dtype=np.float32) / 255)
    method, info = load_method(run)
    width, height = view["size"]
    camera = Cameras.pinhole(
        torch.tensor([view["camera_to_world"]]), torch.tensor(view["intrinsics"]), width, height
    )
    expected = method.render(None, camera.moved(info.to_input.inverse()).resized(60, 60)).rgb[0]
    # Something is to be seen, not the background alone.
    assert float(expected.std()) > 0.05
    assert float(-10 * (found - expected).square().mean().log10()) >= 40


@pytest.mark.parametrize(("variant", "least"), [("float16", 60), ("int8", 40)])
def test_variants_say_what_they_cost(run: Path, tmp_path: Path, variant: str, least: float) -> None:
    from novelview.export.onnx import read_onnx

    export(run, "--to", "onnx", "--variant", variant, "--out", str(tmp_path / "field.onnx"))
    light_field, card = read_onnx(tmp_path / "field.onnx")
    assert card.variant == variant
    assert card.largest_error < 1e-4
    assert least < card.psnr < 150
    method, info = load_method(run)
    cameras = make_scene("object", 10, views=14, size=32, supersample=1).test.cameras
    expected = method.render(None, cameras).rgb
    found = light_field.render(cameras.moved(info.to_input)).rgb
    assert float(-10 * (found - expected).square().mean().log10()) > least - 10

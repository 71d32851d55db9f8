"""Pages of light fields: what a real browser draws, where one may look, and what is refused."""

from __future__ import annotations

import base64
import io
import json
import math
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from browser import SOFTWARE_GPU, Page, chromium, find_chromium, served
from light_fields import TO_INPUT, example, ring, wall
from PIL import Image
from torch import Tensor

from novelview.cameras.cameras import Cameras
from novelview.errors import MissingDependencyError, OutputError
from novelview.export.web import write_web
from novelview.export.web.navigation import navigation
from novelview.export.web.runtime import FILES, VERSION, runtime_folder
from novelview.geometry.rigid import so3_exp
from novelview.light_field import LightField, Subject

pytest.importorskip("onnxscript", reason="the extra onnx is not installed")
pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")


@pytest.fixture
def empty_runtime(tmp_path: Path) -> Path:
    """A folder with files of the runtime's names, for tests that run no network."""
    folder = tmp_path / "empty-runtime"
    folder.mkdir()
    for name in FILES:
        (folder / name).write_text("")
    return folder


@pytest.fixture(scope="module")
def runtime() -> Path:
    try:
        return runtime_folder(None)
    except MissingDependencyError as error:
        pytest.skip(f"onnxruntime-web is not here: {error.why}")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    if find_chromium() is None:
        pytest.skip("there is no Chromium here")
    with chromium(tmp_path_factory.mktemp("profile")) as found:
        found.resize(640, 480)
        yield found


@pytest.fixture(scope="module")
def folder(runtime: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of cameras all around their subject."""
    out = tmp_path_factory.mktemp("web") / "ring"
    light_field, subject = example(width=64)
    write_web(out, light_field, subject, check=subject.cameras[[1, 4]], runtime=runtime)
    return out


def drawn(page: Page) -> np.ndarray:
    """What the canvas holds once the view is at rest, in [0, 1]."""
    page.wait_for("document.documentElement.dataset.state === 'still'")
    address = page.evaluate("document.getElementById('picture').toDataURL()")
    with Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))) as picture:
        return np.asarray(picture.convert("RGB"), dtype=np.float64) / 255


def psnr(picture: np.ndarray, light_field: LightField, camera: Cameras) -> float:
    expected = light_field.render(camera).rgb[0].double().numpy()
    assert picture.shape == expected.shape
    return float(-10 * np.log10(np.square(picture - expected).mean()))


@pytest.mark.parametrize(("view", "isolated"), [(0, False), (1, True)])
def test_the_page_draws_what_torch_draws(folder: Path, page: Page, view: int, isolated: bool) -> None:
    light_field, subject = example(width=64)
    camera = subject.cameras[[1, 4][view]].resized(90, 60)
    with served(folder, isolated=isolated) as address:
        page.open(f"{address}/?view={view}&size=90x60")
        assert psnr(drawn(page), light_field, camera) >= 50
        assert page.evaluate("crossOriginIsolated") == isolated
        assert page.evaluate("document.getElementById('status').textContent").startswith("CPU")


@pytest.mark.parametrize(("variant", "factor"), [("int8", 1), ("float16", 8)])
def test_variants_and_blocks_work_in_a_browser(
    runtime: Path, page: Page, tmp_path: Path, variant: str, factor: int
) -> None:
    light_field, subject = example(factor=factor)
    check = subject.cameras[:1]
    write_web(tmp_path / "out", light_field, subject, check=check, variant=variant, runtime=runtime)
    with served(tmp_path / "out") as address:
        # No multiple of the blocks.
        page.open(f"{address}/?view=0&size=50x43")
        assert psnr(drawn(page), light_field, check.resized(50, 43)) >= 40


def test_dragging_turns_the_scene_and_home_turns_it_back(folder: Path, page: Page) -> None:
    with served(folder) as address:
        page.open(f"{address}/")
        start = drawn(page)
        assert start.shape == (48, 48, 3)
        with a_change(page):
            page.mouse("mousePressed", 300, 200, button="left", clickCount=1)
            page.mouse("mouseMoved", 340, 230, button="left", buttons=1)
            page.mouse("mouseMoved", 420, 260, button="left", buttons=1)
            page.mouse("mouseReleased", 420, 260, button="left", clickCount=1)
        turned = drawn(page)
        # The scene follows the pointer: 480 pixels, the lower side of the window, are half a turn.
        light_field, subject = example(width=64)
        pose = turned_pose(subject, -math.pi * 120 / 480, navigation(subject).pitch[1])
        camera = replace(subject.cameras[:1], camera_to_world=pose[None])
        assert psnr(turned, light_field, camera) >= 50
        with a_change(page):
            page.mouse("mouseWheel", 300, 200, deltaX=0, deltaY=-400)
        zoomed = drawn(page)
        with a_change(page):
            page.evaluate("document.getElementById('home').click()")
        back = drawn(page)
    assert np.abs(zoomed - turned).mean() > 0.02
    assert (back == start).all()


@contextmanager
def a_change(page: Page) -> Iterator[None]:
    """What is done in the block shall show on the canvas."""
    picture = "document.getElementById('picture').toDataURL()"
    page.evaluate(f"window.before = {picture}; 0")
    yield
    page.wait_for(f"{picture} !== window.before")


@pytest.mark.slow
def test_a_graphics_card_draws_the_same(folder: Path, tmp_path: Path) -> None:
    if find_chromium() is None:
        pytest.skip("there is no Chromium here")
    light_field, subject = example(width=64)
    with served(folder) as address, chromium(tmp_path / "profile", *SOFTWARE_GPU) as page:
        page.open(f"{address}/?view=0&size=32x24&backend=webgpu")
        if not page.evaluate("navigator.gpu?.requestAdapter().then(Boolean)"):
            pytest.skip("this Chromium has no WebGPU, not even in software")
        assert psnr(drawn(page), light_field, subject.cameras[[1]].resized(32, 24)) >= 50
        assert page.evaluate("document.documentElement.dataset.backend") == "webgpu"


@pytest.mark.parametrize("cameras", [ring(), wall()])
def test_the_pages_geometry_is_that_of_cameras(folder: Path, page: Page, cameras: Cameras) -> None:
    subject = Subject("toy", cameras, 2.0, 6.0).moved(TO_INPUT)
    offered = navigation(subject)
    yaw, pitch, zoom, size = 0.4, 0.3, 1.7, [12, 7]
    facts = json.dumps({"start": offered.start, "focus": offered.focus, "up": offered.up})
    intrinsics = subject.cameras.intrinsics[0].tolist()
    with served(folder) as address:
        page.open(f"{address}/?view=0")
        pose, (origins, directions) = page.evaluate(
            f"""import('./camera.js').then((camera) => {{
                const pose = camera.poseAt({facts}, {yaw}, {pitch});
                const fitted = camera.resized({intrinsics}, [48, 48], {size});
                const intrinsics = camera.zoomed(fitted, {size}, {zoom});
                const rays = camera.rays({{ pose, intrinsics, columns: 12, factor: 1 }}, 2, 5);
                return [pose, [[...rays.origins], [...rays.directions]]];
            }})"""
        )
    expected = turned_pose(subject, yaw, pitch)
    torch.testing.assert_close(torch.tensor(pose), expected, atol=1e-5, rtol=0)
    # A zoom is a cut out of the middle, enlarged.
    camera = Cameras.pinhole(expected[None], subject.cameras.intrinsics[:1], 48, 48).resized(*size)
    fx, fy, cx, cy = camera.intrinsics[0].tolist()
    longer = torch.tensor([[fx * zoom, fy * zoom, 6 + (cx - 6) * zoom, 3.5 + (cy - 3.5) * zoom]])
    rays = replace(camera, intrinsics=longer).rays()[0][2:7]
    torch.testing.assert_close(torch.tensor(origins).view(5, 12, 3), rays.origins, atol=1e-5, rtol=0)
    torch.testing.assert_close(torch.tensor(directions).view(5, 12, 3), rays.directions, atol=1e-5, rtol=0)


def turned_pose(subject: Subject, yaw: float, pitch: float) -> Tensor:
    """The pose that the docstring of Navigation describes."""
    offered = navigation(subject)
    start, focus, up = (
        torch.tensor(each, dtype=torch.float64) for each in (offered.start, offered.focus, offered.up)
    )
    turn = so3_exp(yaw * up) @ so3_exp(-pitch * start[:, 0])
    centre = turn @ (start[:, 3] - focus) + focus
    return torch.cat([turn @ start[:, :3], centre[:, None]], dim=-1).float()


def test_one_may_go_all_around_where_the_cameras_were_all_around() -> None:
    subject = Subject("toy", ring(12), 2.0, 6.0).moved(TO_INPUT)
    offered = navigation(subject)
    assert offered.yaw is None
    torch.testing.assert_close(torch.tensor(offered.focus), TO_INPUT.translation, atol=1e-3, rtol=0)
    assert offered.radius == pytest.approx(2.5 * math.hypot(4, 1.5), rel=0.05)
    # The lowest and the highest photographs were taken at heights 1 and 2.
    highest = turned_pose(subject, 0.0, offered.pitch[1])[:, 3] - torch.tensor(offered.focus)
    lowest = turned_pose(subject, 0.0, offered.pitch[0])[:, 3] - torch.tensor(offered.focus)
    heights = [float(torch.tensor(offered.up) @ each) / offered.radius for each in (lowest, highest)]
    assert heights == pytest.approx([1 / math.hypot(4, 1), 2 / math.hypot(4, 2)], abs=0.02)


def test_one_may_sway_where_the_cameras_looked_ahead() -> None:
    offered = navigation(Subject("toy", wall(), 2.0, 6.0))
    assert offered.focus == pytest.approx((0.0, 0.0, -4 + 3.0), abs=1e-5)
    assert offered.up == pytest.approx((0.0, -1.0, 0.0), abs=1e-6)
    assert offered.yaw is not None
    # 0.3 to each side at a distance of 3.
    for low, high in (offered.yaw, offered.pitch):
        assert (low, high) == pytest.approx((-0.1, 0.1), abs=0.01)


def test_a_single_photograph_allows_its_own_view() -> None:
    offered = navigation(Subject("toy", ring(1), 2.0, 6.0))
    assert offered.yaw == pytest.approx((0.0, 0.0), abs=1e-6)
    assert offered.pitch == pytest.approx((0.0, 0.0), abs=1e-6)


def test_the_folder_says_what_it_is(empty_runtime: Path, tmp_path: Path) -> None:
    light_field, subject = example()
    subject = replace(subject, name='<b>"toy" & co</b>')
    out = tmp_path / "out"
    card = write_web(
        out, light_field, subject, check=subject.cameras[:2], size=(96, 40), runtime=empty_runtime
    )
    names = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    own = {"index.html", "style.css", "viewer.js", "renderer.js", "camera.js", "model.onnx", "scene.json"}
    assert names == own | {f"runtime/{name}" for name in FILES}
    html = (out / "index.html").read_text()
    assert "<b>" not in html
    assert "{{" not in html
    facts = json.loads((out / "scene.json").read_text())
    assert (facts["name"], facts["size"], facts["psnr"]) == (subject.name, [96, 40], card.psnr)
    # As wide as the photographs, cut above and below.
    assert facts["intrinsics"] == pytest.approx([120.0, 120.0, 48.0, 20.0])
    assert len(facts["views"]) == 2


@pytest.mark.parametrize("size", [(0, 9), (9, -1), (5000, 9)])
def test_impossible_sizes_are_refused(empty_runtime: Path, tmp_path: Path, size: tuple[int, int]) -> None:
    light_field, subject = example()
    with pytest.raises(OutputError, match=f"{size[0]}x{size[1]}"):
        write_web(
            tmp_path / "out",
            light_field,
            subject,
            check=subject.cameras[:1],
            size=size,
            runtime=empty_runtime,
        )
    assert not (tmp_path / "out").exists()


def test_nothing_is_overwritten_and_nothing_half_written(empty_runtime: Path, tmp_path: Path) -> None:
    light_field, subject = example()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("")
    check = subject.cameras[:1]
    with pytest.raises(OutputError, match="not empty"):
        write_web(tmp_path / "out", light_field, subject, check=check, runtime=empty_runtime)
    (empty_runtime / FILES[2]).unlink()
    with pytest.raises(MissingDependencyError, match=FILES[2]):
        write_web(tmp_path / "new", light_field, subject, check=check, runtime=empty_runtime)
    for name in FILES:
        (empty_runtime / name).write_text("")
    with pytest.raises(OutputError, match="cannot be checked"):
        write_web(tmp_path / "new", light_field, subject, check=subject.cameras[[]], runtime=empty_runtime)
    assert {path.name for path in tmp_path.iterdir()} == {"out", "empty-runtime"}


@pytest.mark.parametrize(
    ("missing", "said"),
    [("model.onnx", "The network cannot be loaded"), ("runtime", "The runtime cannot be loaded"),
     ("scene.json", "This scene cannot be opened"), ("renderer.js", "A part of this page is missing"),
     ("viewer.js", "A part of this page is missing")],
)  # fmt: skip
def test_the_page_says_what_is_missing(
    folder: Path, page: Page, tmp_path: Path, missing: str, said: str
) -> None:
    shutil.copytree(folder, tmp_path / "out", copy_function=lambda a, b: Path(b).symlink_to(a))
    gone = tmp_path / "out" / missing
    if gone.is_dir():
        shutil.rmtree(gone)
    else:
        gone.unlink()
    with served(tmp_path / "out") as address:
        page.open(f"{address}/")
        page.wait_for("document.documentElement.dataset.state === 'error'")
        text = page.evaluate("document.getElementById('error').innerText")
    assert said in text


def test_a_page_that_was_opened_as_a_file_asks_for_a_server(folder: Path, page: Page) -> None:
    page.open((folder / "index.html").as_uri())
    page.wait_for("document.documentElement.dataset.state === 'error'")
    text = page.evaluate("document.getElementById('error').innerText")
    assert "needs a web server" in text
    assert "python3 -m http.server" in text


def test_frames_per_second_are_measured(folder: Path, page: Page) -> None:
    with served(folder) as address:
        page.open(f"{address}/?bench=3&size=16x16")
        assert float(page.wait_for("document.documentElement.dataset.fps")) > 0


def npm(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """A stand-in for npm, and an empty cache."""
    (folder / "bin").mkdir()
    (folder / "bin" / "npm").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "bin" / "npm").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder / 'bin'}:/usr/bin:/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))


def archive(path: Path, names: tuple[str, ...]) -> None:
    with tarfile.open(path, "w:gz") as package:
        for name in names:
            entry = tarfile.TarInfo(name)
            entry.size = len(name)
            package.addfile(entry, io.BytesIO(name.encode()))


def test_the_runtime_is_fetched_once_and_only_its_files_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = tuple(f"package/dist/{name}" for name in FILES)
    archive(tmp_path / "package.tgz", (*wanted, "package/dist/other.js", "../escaped", "/tmp/escaped"))
    npm(tmp_path, monkeypatch, f'echo "$@" >> {tmp_path}/calls; cp {tmp_path}/package.tgz .')
    found = runtime_folder(None)
    assert found == tmp_path / "cache" / "novelview" / f"onnxruntime-web-{VERSION}"
    assert {path.name: path.read_text() for path in found.iterdir()} == dict(zip(FILES, wanted, strict=True))
    assert not list(tmp_path.rglob("escaped"))
    assert runtime_folder(None) == found
    assert (tmp_path / "calls").read_text().splitlines() == [
        f"pack onnxruntime-web@{VERSION} --ignore-scripts"
    ]


@pytest.mark.parametrize(
    ("script", "said"),
    [("echo no network >&2; exit 1", "no network"), ("exit 0", "no archive"),
     ("echo nonsense > a.tgz", "no package"), ("tar czf a.tgz --files-from /dev/null", "no package")],
)  # fmt: skip
def test_a_failing_npm_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, said: str
) -> None:
    npm(tmp_path, monkeypatch, script)
    with pytest.raises(MissingDependencyError, match=said) as raised:
        runtime_folder(None)
    assert "--runtime" in str(raised.value)
    assert not list((tmp_path / "cache").rglob("*.*js"))


def test_a_machine_without_npm_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(MissingDependencyError, match="no npm"):
        runtime_folder(None)

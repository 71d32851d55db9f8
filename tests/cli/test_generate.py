"""``novelview generate`` with a method that draws what it is told, so that its results can be judged."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import novelview as nv
from novelview.cameras.camera_file import write_cameras
from novelview.cameras.studio_paths import Tripod, arc, orbit, spiral, tour
from novelview.cli import generate
from novelview.cli.generate import Generate, _slug
from novelview.cli.main import main
from novelview.data.open import open_scene
from novelview.errors import MethodError
from novelview.export.frames import write_frame
from novelview.types import Views
from painter import painted, painter_installed

TRIPOD = Tripod(2.2, 38.0, 48, 48)


@pytest.fixture(scope="module", autouse=True)
def painter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with painter_installed(tmp_path_factory.mktemp("weights") / "painter"):
        yield


def _generate(*words: str) -> int:
    return main(["generate", "--model", "painter", *words])


def _said(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().err.split())


def _truth(name: str = "balls", seed: int = 0, views: int = 8) -> Views:
    return painted(name, seed, orbit(TRIPOD, views, 20.0))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with eight views of balls."""
    out = tmp_path_factory.mktemp("made") / "balls"
    assert _generate("red balls", "--out", str(out)) == 0
    return out


def _overlap(found: Tensor, true: Tensor) -> float:
    return float(torch.minimum(found, true).sum() / torch.maximum(found, true).sum())


def test_the_folder_holds_a_capture_and_what_one_looks_at(made: Path) -> None:
    assert sorted(path.name for path in made.iterdir()) == [
        "captions.json",
        "generation.json",
        "images",
        "masks",
        "orbit.mp4",
        "transforms.json",
        "views.png",
    ]
    with Image.open(made / "views.png") as picture:
        assert picture.size == (3 * 192 + 8, 3 * 192 + 8)
    with av.open(str(made / "orbit.mp4")) as video:
        assert len(list(video.decode(video=0))) == 8


def test_cameras_pictures_masks_and_words_come_back(made: Path) -> None:
    scene, truth = open_scene(made, split="none"), _truth()
    assert scene.captions == ("red balls",)
    cameras = scene.train.cameras.moved(scene.to_input)
    torch.testing.assert_close(cameras.camera_to_world, truth.cameras.camera_to_world, atol=1e-5, rtol=0)
    torch.testing.assert_close(cameras.intrinsics, truth.cameras.intrinsics, atol=1e-5, rtol=0)
    assert float((scene.train.images() - truth.images()).abs().mean()) < 0.003
    assert _overlap(scene.train.masks(), truth.masks()) > 0.97


def test_the_box_of_the_studio_is_written(made: Path) -> None:
    assert json.loads((made / "transforms.json").read_text())["aabb"] == [[-0.5] * 3, [0.5] * 3]


def test_it_is_told_how_views_came_about(made: Path) -> None:
    told = json.loads((made / "generation.json").read_text())
    assert (told["model"], told["method"], told["prompt"], told["seed"]) == (
        "painter",
        "painter",
        "red balls",
        0,
    )
    assert told["settings"]["steps"] == 3
    assert told["cameras"]["path"] == "orbit"
    assert told["seconds"] > 0


def test_samples_have_seeds_of_their_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "a ball",
        "--count",
        "2",
        "--seed",
        "5",
        "--views",
        "2",
        "--no-video",
        "--out",
        str(tmp_path / "cups"),
    ]
    assert _generate(*words) == 0
    folders = sorted((tmp_path / "cups").iterdir())
    assert [folder.name for folder in folders] == ["0000", "0001"]
    assert not (folders[0] / "orbit.mp4").exists()
    seeds = [json.loads((folder / "generation.json").read_text())["seed"] for folder in folders]
    assert seeds == [5, 6]
    found = open_scene(folders[1], split="none").train.images()
    assert float((found - _truth("ball", 6, 2).images()).abs().mean()) < 0.005
    assert "2 views in" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--path", "arc", "--sweep", "90", "--views", "3"], arc(TRIPOD, 3, 20.0, 90.0)),
        (["--path", "spiral", "--rise", "20", "--views", "3"], spiral(TRIPOD, 3, 20.0, 20.0)),
        (["--path", "tour", "--views", "2"], tour(TRIPOD, 2, 20.0)),
        (
            ["--elevation", "-10", "--distance", "3", "--views", "3"],
            orbit(Tripod(3.0, 38.0, 48, 48), 3, -10.0),
        ),
        (["--adjust", "size=24", "opacity=true", "--views", "2"], orbit(Tripod(2.2, 38.0, 24, 24), 2, 20.0)),
    ],
    ids=["arc", "spiral", "tour", "orbit", "adjusted"],
)
def test_the_path_is_as_asked(tmp_path: Path, words: list[str], expected: nv.Cameras) -> None:
    assert _generate("balls", "--out", str(tmp_path / "out"), *words) == 0
    found = open_scene(tmp_path / "out", split="none", normalise=False).train.cameras
    torch.testing.assert_close(found.camera_to_world, expected.camera_to_world, atol=1e-5, rtol=0)
    torch.testing.assert_close(found.intrinsics, expected.intrinsics, atol=1e-4, rtol=0)


def test_cameras_may_come_from_a_file(tmp_path: Path) -> None:
    wanted = arc(Tripod(2.5, 30.0, 96, 96), 3, 40.0, 60.0)
    write_cameras(tmp_path / "path.json", wanted)
    assert _generate("balls", "--cameras", str(tmp_path / "path.json"), "--out", str(tmp_path / "out")) == 0
    found = open_scene(tmp_path / "out", split="none", normalise=False).train.cameras
    torch.testing.assert_close(found.camera_to_world, wanted.camera_to_world, atol=1e-5, rtol=0)
    torch.testing.assert_close(found.intrinsics, wanted.resized(48, 48).intrinsics, atol=1e-4, rtol=0)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A photograph of a ball near a corner, before off-white."""
    view = painted("ball", 0, orbit(Tripod(2.2, 38.0, 60, 60), 1, 20.0))
    picture = torch.tensor([0.95, 0.94, 0.9]).expand(100, 140, 3).clone()
    mask = view.mask(0)[..., None]
    picture[:60, :60] = view.image(0) * mask + picture[:60, :60] * (1 - mask)
    write_frame(tmp_path / "photo.png", picture)
    return tmp_path / "photo.png"


def test_a_picture_is_the_first_view(tmp_path: Path, photo: Path) -> None:
    words = ["a ball", "--image", str(photo), "--views", "4", "--out", str(tmp_path / "out")]
    assert _generate(*words) == 0
    scene = open_scene(tmp_path / "out", split="none", normalise=False)
    assert [Path(name).stem for name in scene.train.names] == [
        "given_0000",
        *(f"view_000{i}" for i in range(3)),
    ]
    expected = orbit(TRIPOD, 4, 20.0)
    torch.testing.assert_close(
        scene.train.cameras.camera_to_world, expected.camera_to_world, atol=1e-5, rtol=0
    )
    mask = scene.train.mask(0)
    extents = [torch.nonzero(mask.amax(dim=axis) > 0.5)[:, 0] for axis in (0, 1)]
    # The box of the studio takes two thirds of the picture.
    share = 0.5 / (2.2 * math.tan(math.radians(19)))
    assert max(int(each[-1] - each[0]) + 1 for each in extents) == pytest.approx(48 * share, abs=1.5)
    for each in extents:
        assert float(each[0] + each[-1]) / 2 == pytest.approx(23.5, abs=1)
    assert float(scene.train.image(0)[0].min()) == 1
    with av.open(str(tmp_path / "out" / "orbit.mp4")) as video:
        assert len(list(video.decode(video=0))) == 4


def test_samples_of_an_earlier_call_do_not_stay(tmp_path: Path) -> None:
    out = tmp_path / "balls"
    assert _generate("balls", "--out", str(out), "--views", "1") == 0
    assert _generate("balls", "--out", str(out), "--views", "1", "--count", "2", "--overwrite") == 0
    assert {each.name for each in out.iterdir()} == {"0000", "0001"}


def test_a_mask_says_what_of_a_picture_counts(tmp_path: Path, photo: Path) -> None:
    with Image.open(photo) as picture:
        mask = np.zeros((picture.height, picture.width), dtype=np.uint8)
    mask[60:80, 60:90] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    words = ["--image", str(photo), "--image-mask", str(tmp_path / "mask.png"), "--views", "2"]
    assert _generate("balls", *words, "--out", str(tmp_path / "out")) == 0
    first = open_scene(tmp_path / "out", split="none").train.mask(0)
    assert int((first > 0.5).sum()) == pytest.approx(32 * 32 * 2 / 3, rel=0.1)


def test_pictures_with_their_cameras_come_before_the_path(tmp_path: Path) -> None:
    taken = arc(TRIPOD, 2, 50.0, 100.0)
    views = painted("balls", 0, taken)
    write_cameras(tmp_path / "cameras.json", taken)
    words = [
        "--image-cameras",
        str(tmp_path / "cameras.json"),
        "--views",
        "3",
        "--out",
        str(tmp_path / "out"),
    ]
    for i in range(2):
        write_frame(tmp_path / f"{i}.png", views.image(i))
        words += ["--image", str(tmp_path / f"{i}.png")]
    assert _generate(*words) == 0
    scene = open_scene(tmp_path / "out", split="none", normalise=False)
    expected = torch.cat([taken.camera_to_world, orbit(TRIPOD, 3, 20.0).camera_to_world])
    torch.testing.assert_close(scene.train.cameras.camera_to_world, expected, atol=1e-5, rtol=0)
    assert _overlap(scene.train.masks()[:2], views.masks()) > 0.97
    assert scene.captions == ()
    with av.open(str(tmp_path / "out" / "orbit.mp4")) as video:
        assert len(list(video.decode(video=0))) == 3


def test_a_preview_shows_how_far_it_is_and_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[np.ndarray] = []

    def write(path: Path, picture: Tensor) -> None:
        write_frame(path, picture)
        if path.name == "preview.png":
            with Image.open(tmp_path / "out" / "preview.png") as shown:
                seen.append(np.asarray(shown).astype(float))

    monkeypatch.setattr("novelview.cli.generate.write_frame", write)
    monkeypatch.setattr("novelview.cli.generate._PREVIEW_SHARE", 0)
    assert _generate("balls", "--out", str(tmp_path / "out")) == 0
    assert len(seen) == 3
    last = np.asarray(Image.open(tmp_path / "out" / "views.png")).astype(float)
    errors = [np.abs(each - last).mean() for each in seen]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 1
    assert not (tmp_path / "out" / "preview.png").exists()


def test_views_before_many_colours_are_kept_without_masks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["balls", "--adjust", "backdrop=true", "--to", "glb", "--out", str(tmp_path / "out")]
    assert _generate(*words) == 2
    said = _said(capsys)
    assert (
        "note: The views have no masks. The background of a picture is not of one colour: view_0000." in said
    )
    assert "put masks of the same names into a folder 'masks'" in said
    assert not open_scene(tmp_path / "out", split="none", measure=False).train.has_masks


def test_what_stops_on_the_way_leaves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _generate("balls", "--adjust", "stop=true", "--out", str(tmp_path / "new" / "out")) == 2
    assert "It was stopped" in _said(capsys)
    assert not (tmp_path / "new" / "out").exists()


def test_a_folder_is_replaced_only_when_asked_and_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("precious")
    assert _generate("balls", "--out", str(out)) == 2
    assert "the folder is not empty" in _said(capsys)
    assert _generate("balls", "--out", str(out), "--overwrite", "--adjust", "stop=true") == 2
    assert [path.name for path in out.iterdir()] == ["thesis.txt"]
    assert _generate("balls", "--out", str(out), "--overwrite", "--views", "1") == 0
    assert not (out / "thesis.txt").exists()


def test_what_a_killed_run_left_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "preview.png").write_text("half a picture")
    assert _generate("balls", "--out", str(tmp_path), "--views", "1") == 0
    assert (tmp_path / "transforms.json").exists()


def test_what_came_meanwhile_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, write = tmp_path / "out", generate.write_scene

    def write_late(folder: Path, scene: nv.Scene) -> None:
        write(folder, scene)
        out.mkdir(exist_ok=True)
        (out / "thesis.txt").write_text("precious")

    monkeypatch.setattr(generate, "write_scene", write_late)
    assert _generate("balls", "--out", str(out), "--views", "1") == 2
    assert [path.name for path in out.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([""], "Nothing says what is to be seen"),
        (["   "], "Nothing says what is to be seen"),
        (["balls", "--views", "0"], "A path of 0 cameras is none"),
        (["balls", "--elevation", "100"], "leads over the pole"),
        (["balls", "--distance", "-1"], "These cameras are impossible"),
        (["balls", "--count", "0"], "--count and --surface-steps begin at 1"),
        (["balls", "--fps", "0"], "cannot have 0 frames per second"),
        (["balls", "--to", "ply", "--texture", "256"], "A PLY file has no textures"),
        (["balls", "--adjust", "colour=red"], "cannot change colour after training"),
        (["balls", "--cameras", "absent.json"], "absent.json"),
        (["balls", "--cameras", "absent.json", "--path", "arc"], "from a file or along a path"),
        (["balls", "--image-mask", "mask.png"], "There is no picture for this mask or camera"),
        (["balls", "--image", "PHOTO", "--views", "1"], "No view is to be generated"),
        (["balls", "--cameras", "WIDE"], "The cameras of a file do not fit the model"),
        (["--image", "absent.png"], "A file is missing: the image of a view: absent.png"),
        (["--image", "a.png", "--image", "b.png"], "--image-cameras FILE"),
    ],
)
def test_what_makes_no_sense_is_said(
    tmp_path: Path, photo: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_cameras(tmp_path / "wide.json", orbit(Tripod(2.2, 38.0, 64, 48), 2, 0.0))
    files = {"PHOTO": str(photo), "WIDE": str(tmp_path / "wide.json")}
    assert _generate(*(files.get(word, word) for word in words), "--out", str(tmp_path / "out")) == 2
    assert said in _said(capsys)
    assert not (tmp_path / "out").exists()


def test_a_picture_whose_subject_cannot_be_told_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_frame(tmp_path / "busy.png", torch.rand(32, 32, 3, generator=torch.Generator().manual_seed(0)))
    assert _generate("--image", str(tmp_path / "busy.png"), "--out", str(tmp_path / "out")) == 2
    assert "not of one colour" in _said(capsys)
    (tmp_path / "torn.png").write_bytes(b"no picture")
    assert _generate("--image", str(tmp_path / "torn.png"), "--out", str(tmp_path / "out")) == 2
    assert "torn.png" in _said(capsys)


def test_pictures_need_as_many_cameras_and_masks(
    tmp_path: Path, photo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_cameras(tmp_path / "cameras.json", orbit(TRIPOD, 2, 0.0))
    cameras = ["--image-cameras", str(tmp_path / "cameras.json")]
    assert _generate("--image", str(photo), *cameras, "--out", str(tmp_path / "out")) == 2
    assert "1 pictures, 0 masks, 2 cameras" in _said(capsys)
    write_cameras(tmp_path / "cameras.json", orbit(TRIPOD, 1, 0.0))
    assert _generate("--image", str(photo), *cameras, "--out", str(tmp_path / "out")) == 2
    assert "A picture does not fit its camera" in _said(capsys)


def test_other_methods_generate_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", "balls", "--model", "grid", "--out", str(tmp_path / "out")]) == 2
    assert "generates nothing" in _said(capsys)
    with pytest.raises(MethodError, match="generates nothing"):
        nv.generate("balls", model="grid")


def test_folders_are_called_by_words_and_seed() -> None:
    assert _slug(Generate("A red & blue torus!")) == "a-red-blue-torus"
    assert _slug(Generate("", image=(Path("photos/My cup.png"),))) == "my-cup"
    assert _slug(Generate("трон")) == "generated"


def test_python_has_the_same_in_one_line(made: Path, tmp_path: Path) -> None:
    scene = nv.generate("red balls", model="painter", out=tmp_path / "out", device="cpu")
    torch.testing.assert_close(scene.train.images(), open_scene(made, split="none").train.images())
    in_memory = nv.generate("red balls", model="painter", views=2, steps=1, device="cpu")
    assert (len(in_memory.train), len(in_memory.test)) == (2, 0)
    assert in_memory.captions == ("red balls",)
    assert _overlap(in_memory.train.masks(), _truth(views=2).masks()) > 0.97


def test_a_mesh_is_made_of_the_views(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    trimesh = pytest.importorskip("trimesh", reason="the extra mesh is not installed")
    pytest.importorskip("skimage", reason="the extra mesh is not installed")
    monkeypatch.setattr("novelview.cli.generate_mesh.BATCH", 64)
    out = tmp_path / "out"
    words = [
        "--to",
        "glb",
        "--to",
        "ply",
        "--surface-steps",
        "4",
        "--resolution",
        "24",
        "--views",
        "4",
        "--no-check",
    ]
    assert _generate("balls", "--adjust", "size=24", "--device", "cpu", "--out", str(out), *words) == 0
    said = capsys.readouterr().out
    assert "learnt the surface in" in said
    assert not (out / "mesh_check.png").exists()
    assert (out / "surface" / "run.json").exists()
    found = trimesh.load_mesh(out / "mesh.ply", process=False)
    assert trimesh.load(out / "mesh.glb").geometry
    # Hardly learnt, it is the visual hull: in the studio where the balls are.
    np.testing.assert_allclose(found.bounds, [[-0.38, -0.38, -0.48], [0.38, 0.42, 0.47]], atol=0.12)

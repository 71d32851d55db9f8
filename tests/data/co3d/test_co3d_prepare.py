"""A CO3D data set as captures: what they show is where it was, they are complete or absent, and the rest is told."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from co3d_toy import COLOURS, HALF, MARKS, MIDDLE, Toy, turned, write_annotations, write_category, write_cloud
from PIL import Image

from novelview.cameras.cameras import Cameras
from novelview.data.co3d import prepare
from novelview.data.co3d.colours import intensity
from novelview.data.co3d.options import Choice, Manner
from novelview.data.co3d.prepare import Prepared, check_prepared, prepare_co3d
from novelview.data.co3d.write import Pictures
from novelview.data.open import open_scene
from novelview.data.scene import Scene
from novelview.data.scene_list import read_scene_list
from novelview.errors import ConfigError, DataError
from novelview.geometry.rigid import Similarity

SMALL = Manner(Pictures(size=48))
TOYS = [
    Toy(name="110_1", turn=turned(1), scale=3.0, shift=np.array([5.0, -2.0, 9.0])),
    Toy(name="110_2", width=64, height=96, kind="ndc_norm_image_bounds", turn=np.diag([1.0, -1.0, -1.0])),
]
# What a sequence named 110_1 shows in the common frame: the largest side of the object is 2.
SHOWN = torch.from_numpy(MARKS / HALF.max()).float()


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("co3d")
    write_category(root / "apple", TOYS)
    return root


@pytest.fixture
def co3d(original: Path, tmp_path: Path) -> Path:
    """A data set that a test may damage."""
    return shutil.copytree(original, tmp_path / "co3d")


def opened(folder: Path, **options: Any) -> Scene:
    return open_scene(folder, split="none", measure=False, **{"masks": "keep", "normalise": False, **options})


def colours_at(scene: Scene, i: int, points: torch.Tensor) -> torch.Tensor:
    """Colours of a view where points of the scene are, 0 outside the image."""
    pixels = scene.train.cameras[i].project(points)[0][0]
    image = scene.train.image(i)
    inside = ((pixels >= 0) & (pixels < scene.train.cameras.sizes[i])).all(dim=-1)
    x, y = pixels.long().where(inside[:, None], torch.zeros(())).long().unbind(-1)
    return image[y, x] * inside[:, None]


@pytest.mark.parametrize("crop", ["foreground", "centre", "none"])
@pytest.mark.parametrize("antialias", [True, False])
def test_coloured_points_stay_on_their_pixels(
    original: Path, tmp_path: Path, crop: Any, antialias: bool
) -> None:
    manner = Manner(Pictures(48, crop, antialias))
    done = prepare_co3d(original, tmp_path / "out", manner=manner)
    assert (done.written, done.present, done.skipped) == (2, 0, [])
    for toy in TOYS:
        scene = opened(tmp_path / "out" / "apple" / toy.name)
        assert scene.train.cameras.sizes.min() == 48
        assert (scene.train.cameras.sizes.amax() == 48) == (crop != "none")
        found = [colours_at(scene, i, SHOWN) for i in range(len(scene.train))]
        expected = torch.from_numpy(COLOURS / 255).float()
        seen = torch.stack([(colours.sum(-1) > 0) for colours in found])
        off = torch.stack([(colours - expected).abs().amax(-1) for colours in found])
        # Marks hide each other here and there.
        assert seen.float().mean() > 0.9
        assert float((off[seen] < 0.12).float().mean()) > 0.9


def test_prepared_sequences_are_upright_and_in_their_box(original: Path, tmp_path: Path) -> None:
    prepare_co3d(original, tmp_path / "out", manner=SMALL)
    half = torch.from_numpy(HALF / HALF.max()).float()
    for toy in TOYS:
        folder = tmp_path / "out" / "apple" / toy.name
        scene, document = opened(folder), json.loads((folder / "transforms.json").read_text())
        torch.testing.assert_close(
            torch.tensor(document["aabb"]), torch.stack([-half, half]), rtol=0, atol=1e-5
        )
        torch.testing.assert_close(torch.tensor(scene.bounds.box_max), half, rtol=0, atol=1e-5)
        torch.testing.assert_close(torch.tensor(scene.bounds.box_min), -half, rtol=0, atol=1e-5)
        assert bool((scene.train.cameras.rotations[:, 2, 1] < -0.8).all())
        motion = Similarity.from_json(document["novelview"]["from_sequence"])
        there = motion.points(torch.from_numpy(toy.world(MIDDLE + MARKS)).float())
        torch.testing.assert_close(there, SHOWN, rtol=0, atol=1e-4)
        assert not any("ignored" in note or "missing" in note for note in scene.notes)


def test_prepared_sequences_open_in_a_frame_of_their_own(original: Path, tmp_path: Path) -> None:
    prepare_co3d(original, tmp_path / "out", manner=SMALL)
    folder = tmp_path / "out" / "apple" / "110_1"
    kept, moved = opened(folder), opened(folder, normalise=True)
    corners = torch.tensor([kept.bounds.box_min, kept.bounds.box_max])
    again = moved.to_input.points(torch.tensor([moved.bounds.box_min, moved.bounds.box_max]))
    assert float((again.sort(dim=0).values - corners).abs().max()) < 0.35
    assert float(moved.train.cameras.centres.norm(dim=-1).max()) < 1.001


def test_statistics_of_colours_are_written(original: Path, tmp_path: Path) -> None:
    prepare_co3d(original, tmp_path / "out", manner=SMALL)
    folder = tmp_path / "out" / "apple" / "110_1"
    entry = json.loads((folder / "transforms.json").read_text())["frames"][3]
    with Image.open(folder / entry["file_path"]) as image:
        values = np.asarray(image).astype(float) / 127.5 - 1
    assert entry["novelview"]["intensity_mean"] == pytest.approx(values.mean(), abs=1e-6)
    assert entry["novelview"]["intensity_variance"] == pytest.approx(values.var(ddof=1), abs=1e-6)
    assert intensity(torch.ones(2, 2, 3)) == (1.0, 0.0)


def test_masks_follow_the_images(original: Path, tmp_path: Path) -> None:
    prepare_co3d(original, tmp_path / "out", manner=SMALL)
    scene = opened(tmp_path / "out" / "apple" / "110_1")
    for i in range(len(scene.train)):
        mask = scene.train.mask(i)
        x, y = scene.train.cameras[i].project(torch.zeros(1, 3))[0][0, 0].long().tolist()
        assert float(mask[y, x]) > 0.9
        assert float(mask.mean()) < 0.5


def test_the_list_opens_every_sequence_with_its_captions(original: Path, tmp_path: Path) -> None:
    captions = {"apple": {"110_1": ("a red apple", "fruit")}, "pear": {"9_9": ("a pear",)}}
    done = prepare_co3d(original, tmp_path / "out", manner=SMALL, captions=captions)
    assert done.unnamed == ["apple/110_2"]
    assert done.unused == ["pear/9_9"]
    assert done.notes()[-1] == "1 sequences have captions but are not prepared: pear/9_9."
    scenes = read_scene_list(done.scenes, split="none")
    assert [scenes.open(i).name for i in range(len(scenes))] == ["110_1", "110_2"]
    assert [scenes.open(i).captions for i in range(2)] == [("a red apple", "fruit"), ("an apple",)]


def test_what_was_interrupted_goes_on(
    original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, write = tmp_path / "out", prepare.write_sequence

    def stopped(sequence: Any, *rest: Any) -> None:
        if sequence.record.name == "110_2":
            raise KeyboardInterrupt
        write(sequence, *rest)

    monkeypatch.setattr(prepare, "write_sequence", stopped)
    with pytest.raises(KeyboardInterrupt):
        prepare_co3d(original, out, manner=SMALL)
    first = out / "apple" / "110_1" / "images" / "frame000000.jpg"
    first.write_bytes(b"mine")
    monkeypatch.setattr(prepare, "write_sequence", write)
    done = prepare_co3d(original, out, manner=SMALL)
    assert (done.written, done.present) == (1, 1)
    assert first.read_bytes() == b"mine"
    assert done.scenes.read_text() == "apple/110_1\napple/110_2\n"
    assert sorted(path.name for path in (out / "apple").iterdir()) == ["110_1", "110_2"]


def test_half_a_sequence_is_never_there(co3d: Path, tmp_path: Path) -> None:
    (co3d / "apple/110_2/images/frame000008.jpg").write_bytes(b"no image")
    done = prepare_co3d(co3d, tmp_path / "out", manner=SMALL)
    assert [path.name for path in (tmp_path / "out" / "apple").iterdir()] == ["110_1"]
    assert [skipped.name for skipped in done.skipped] == ["apple/110_2"]
    assert "frame000008.jpg" in done.skipped[0].detail


def test_new_captions_replace_old_ones_and_nothing_else(original: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    prepare_co3d(original, out, manner=SMALL, captions={"apple": {"110_2": ("mine",)}})
    prepare_co3d(original, out, manner=SMALL, captions={"apple": {"110_1": ("a red apple",)}})
    assert opened(out / "apple" / "110_1").captions == ("a red apple",)
    assert opened(out / "apple" / "110_2").captions == ("mine",)


def test_one_folder_has_one_manner(original: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    prepare_co3d(original, out, manner=SMALL)
    with pytest.raises(ConfigError, match="there: frames null, size 48; asked for: frames 6, size 32"):
        prepare_co3d(original, out, manner=Manner(Pictures(size=32), frames=6))
    shutil.rmtree(out / "apple")
    done = prepare_co3d(original, out, manner=Manner(Pictures(size=32), frames=6))
    assert done.written == 2
    (out / "prepared.json").write_text("[")
    with pytest.raises(DataError, match="not valid JSON"):
        prepare_co3d(original, out, manner=SMALL)


@pytest.mark.parametrize(
    "options", [{"frames": 1}, {"frames": 0}, {"frames": -2}, {"outliers": 0.3}, {"outliers": -0.1}]
)
def test_impossible_manners(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="Cannot prepare"):
        Manner(**options)


def test_no_sequence_at_all_is_no_choice() -> None:
    with pytest.raises(ConfigError, match="Cannot prepare 0 sequences"):
        Choice(sequences=0)


def test_no_more_frames_than_asked_for(original: Path, tmp_path: Path) -> None:
    prepare_co3d(original, tmp_path / "out", manner=replace(SMALL, frames=3))
    scene = opened(tmp_path / "out" / "apple" / "110_1")
    assert scene.train.names == ("frame000000.jpg", "frame000002.jpg", "frame000005.jpg")


def test_sequences_are_chosen(tmp_path: Path) -> None:
    toys = [Toy(name=f"110_{i}", quality=0.2 * i) for i in range(5)]
    write_category(tmp_path / "co3d" / "apple", toys)
    write_category(tmp_path / "co3d" / "pear", toys[:1])
    done = prepare_co3d(
        tmp_path / "co3d", tmp_path / "out", Choice(categories=("apple",), sequences=2, quality=0.3), SMALL
    )
    assert done.scenes.read_text() == "apple/110_2\napple/110_3\n"
    assert [skipped.name for skipped in done.skipped] == ["apple/110_0", "apple/110_1"]
    assert done.skipped[0].reason == "Its cameras are not good enough"
    alone = prepare_co3d(tmp_path / "co3d" / "pear", tmp_path / "out", manner=SMALL)
    assert alone.scenes.read_text() == "apple/110_2\napple/110_3\npear/110_0\n"
    with pytest.raises(ConfigError, match="no category plum"):
        prepare_co3d(tmp_path / "co3d", tmp_path / "out", Choice(categories=("apple", "plum")))
    with pytest.raises(DataError, match="1 were skipped, the first, pear/110_0"):
        prepare_co3d(tmp_path / "co3d" / "pear", tmp_path / "other", Choice(cloud_quality=0.6), SMALL)


def test_frames_of_a_list_alone_are_used(co3d: Path, tmp_path: Path) -> None:
    (co3d / "apple" / "set_lists").mkdir()
    entries = [["110_2", i, ""] for i in (0, 2, 3, 5, 6)]
    (co3d / "apple" / "set_lists" / "set_lists_fewview_dev.json").write_text(json.dumps({"train": entries}))
    done = prepare_co3d(co3d, tmp_path / "out", Choice(subset=("fewview_dev", "train")), SMALL)
    assert done.scenes.read_text() == "apple/110_2\n"
    names = opened(tmp_path / "out" / "apple" / "110_2").train.names
    assert names == tuple(f"frame00000{i}.jpg" for i in (0, 2, 3, 5, 6))


def skipped(co3d: Path, out: Path) -> Prepared:
    """What became of a data set whose second sequence cannot be used."""
    done = prepare_co3d(co3d, out, manner=SMALL)
    assert [each.name for each in done.skipped] == ["apple/110_2"]
    assert done.scenes.read_text() == "apple/110_1\n"
    return done


def test_sequences_without_files_are_told(co3d: Path, tmp_path: Path) -> None:
    shutil.rmtree(co3d / "apple" / "110_2")
    done = skipped(co3d, tmp_path / "out")
    assert done.notes() == [
        "1 sequences were skipped. It is not on this disk: apple/110_2. "
        f"The first: {co3d / 'apple' / '110_2'}."
    ]


@pytest.mark.parametrize("cloud", [None, {"path": None}, {"path": "apple/110_2/other.ply"}])
def test_sequences_without_point_cloud_are_told(co3d: Path, tmp_path: Path, cloud: Any) -> None:
    sequences = [TOYS[0].sequence("apple"), TOYS[1].sequence("apple") | {"point_cloud": cloud}]
    write_annotations(co3d / "apple" / "sequence_annotations.jgz", sequences)
    assert skipped(co3d, tmp_path / "out").skipped[0].reason == "It has no point cloud"


def test_damaged_files_are_told(co3d: Path, tmp_path: Path) -> None:
    folder = co3d / "apple" / "110_2"
    write_cloud(folder / "pointcloud.ply", np.ones((5, 3)))
    assert skipped(co3d, tmp_path / "flat").skipped[0].reason == "The point cloud has no extent"
    (folder / "pointcloud.ply").write_bytes(b"ply")
    assert skipped(co3d, tmp_path / "cloud").skipped[0].reason == "Cannot read a point cloud"
    write_cloud(folder / "pointcloud.ply", TOYS[1].cloud())
    Image.new("RGB", (64, 64)).save(folder / "images" / "frame000003.jpg")
    assert "64x64, the annotation says 64x96" in skipped(co3d, tmp_path / "size").skipped[0].detail
    shutil.copy(folder / "images" / "frame000002.jpg", folder / "images" / "frame000003.jpg")
    mask = folder / "masks" / "frame000003.png"
    mask.write_bytes(mask.read_bytes()[:60])
    assert "frame000003.png" in skipped(co3d, tmp_path / "mask").skipped[0].detail


def test_frames_that_cannot_be_used_are_left_out(co3d: Path, tmp_path: Path) -> None:
    folder = co3d / "apple" / "110_2"
    (folder / "images" / "frame000001.jpg").unlink()
    (folder / "masks" / "frame000002.png").unlink()
    frames = [toy.frame(i, "apple") for toy in TOYS for i in range(8)]
    frames[-1]["viewpoint"]["T"][0] = float("nan")
    write_annotations(co3d / "apple" / "frame_annotations.jgz", frames)
    done = prepare_co3d(co3d, tmp_path / "out", manner=SMALL)
    assert dict(done.frames_left_out) == {
        "its image is missing": 1,
        "its mask is missing": 1,
        "its camera is impossible": 1,
    }
    assert len(opened(tmp_path / "out" / "apple" / "110_2").train) == 5
    (folder / "images" / "frame000003.jpg").unlink()
    again = skipped(co3d, tmp_path / "again").skipped[0]
    assert again.reason == "Hardly any of its frames can be used"
    assert "4 are left: of 2 its image is missing" in again.detail


def test_cameras_that_look_away_or_stand_inside_are_left_out(co3d: Path, tmp_path: Path) -> None:
    toy = TOYS[0]
    frames = [each.frame(i, "apple") for each in TOYS for i in range(8)]
    rotation = np.array(frames[2]["viewpoint"]["R"]) * [-1, 1, -1]  # Turned about its up axis.
    translation = np.array(frames[2]["viewpoint"]["T"]) * [-1, 1, -1]
    frames[2]["viewpoint"] |= {"R": rotation.tolist(), "T": translation.tolist()}
    inside = toy.world(MIDDLE[None])[0]
    frames[5]["viewpoint"]["T"] = (-inside @ np.array(frames[5]["viewpoint"]["R"])).tolist()
    write_annotations(co3d / "apple" / "frame_annotations.jgz", frames)
    done = prepare_co3d(co3d, tmp_path / "out", manner=SMALL)
    assert dict(done.frames_left_out) == {"its camera stands in the object or looks away from it": 2}
    names = opened(tmp_path / "out" / "apple" / "110_1").train.names
    assert len(names) == 6
    assert not {"frame000002.jpg", "frame000005.jpg"} & set(names)


def test_images_may_be_smaller_than_annotated(co3d: Path, tmp_path: Path) -> None:
    for file in (co3d / "apple" / "110_1" / "images").iterdir():
        with Image.open(file) as image:
            half = image.resize((48, 32))
        half.save(file)
    prepare_co3d(co3d, tmp_path / "small", manner=replace(SMALL, pictures=Pictures(48, "centre")))
    small = opened(tmp_path / "small" / "apple" / "110_1")
    assert small.train.cameras.common_size == (48, 48)
    toy = TOYS[0]
    expected = torch.tensor([toy.focal(), toy.focal(), toy.middle()[0] - 16, toy.middle()[1]]) * 48 / 64
    torch.testing.assert_close(small.train.cameras.intrinsics[0].double(), expected, rtol=0, atol=1e-3)


def test_without_masks_pictures_are_cut_from_the_middle(co3d: Path, tmp_path: Path) -> None:
    shutil.rmtree(co3d / "apple" / "110_1" / "masks")
    prepare_co3d(co3d, tmp_path / "out", manner=Manner(Pictures(48, "centre")))
    scene = opened(tmp_path / "out" / "apple" / "110_1")
    assert not scene.train.has_masks
    assert opened(tmp_path / "out" / "apple" / "110_2").train.has_masks


def test_a_frame_without_mask_is_left_out_where_others_have_one(co3d: Path, tmp_path: Path) -> None:
    (co3d / "apple" / "110_1" / "masks" / "frame000002.png").unlink()
    done = prepare_co3d(co3d, tmp_path / "out", manner=Manner(Pictures(48, "centre")))
    scene = opened(tmp_path / "out" / "apple" / "110_1")
    assert scene.train.has_masks
    assert len(scene.train) == 7
    assert dict(done.frames_left_out) == {"its mask is missing": 1}


def test_a_mask_of_next_to_nothing_is_none(co3d: Path, tmp_path: Path) -> None:
    for file in (co3d / "apple" / "110_1" / "masks").iterdir():
        coverage = np.ones((64, 96), np.uint8)
        coverage[:, 0] = 255
        Image.fromarray(coverage).save(file)
    prepare_co3d(co3d, tmp_path / "out", manner=Manner(Pictures(48, "centre")))
    # Written as they are, ones would be labels: all of the image.
    assert float(opened(tmp_path / "out" / "apple" / "110_1").train.masks().max()) == 0


def test_files_outside_the_category_are_not_read(co3d: Path, tmp_path: Path) -> None:
    frames = [toy.frame(i, "apple") for toy in TOYS for i in range(8)]
    frames[-1]["image"]["path"] = "apple/../../secret.jpg"
    write_annotations(co3d / "apple" / "frame_annotations.jgz", frames)
    assert "leads out" in skipped(co3d, tmp_path / "out").skipped[0].reason


def test_a_category_may_lie_on_another_disk(co3d: Path, tmp_path: Path) -> None:
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "apple").symlink_to(co3d / "apple")
    assert prepare_co3d(tmp_path / "linked", tmp_path / "out", manner=SMALL).written == 2


def test_upright_arcs_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def arc(self: Toy) -> np.ndarray:
        angles = np.linspace(-0.4, 0.9, self.frames)
        return np.asarray(np.stack([4 * np.cos(angles), 0 * angles, 4 * np.sin(angles)], axis=1))

    monkeypatch.setattr(Toy, "centres", arc)
    write_category(tmp_path / "co3d" / "apple", [Toy(turn=turned(4))])
    done = prepare_co3d(tmp_path / "co3d", tmp_path / "out", manner=SMALL)
    assert done.notes() == ["What is up was told by how the cameras are held in apple/110_1."]
    cameras: Cameras = opened(tmp_path / "out" / "apple" / "110_1").train.cameras
    assert bool((cameras.rotations[:, 2, 1] < 0).all())


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda folder: (folder / "images/frame000003.jpg").unlink(), "1 images are missing"),
        (lambda folder: (folder / "masks/frame000003.png").unlink(), "mask_path"),
        (lambda folder: (folder / "images/frame000003.jpg").write_bytes(b"?"), "Cannot read the image"),
        (
            lambda folder: Image.new("RGB", (48, 48)).save(folder / "images/frame000003.jpg"),
            "its colours are",
        ),
        (lambda folder: Image.new("RGB", (40, 48)).save(folder / "images/frame000003.jpg"), "it is 40x48"),
        (lambda folder: Image.new("L", (9, 9)).save(folder / "masks/frame000003.png"), "it is 9x9"),
        (lambda folder: (folder / "captions.json").write_text("["), "not valid JSON"),
        (lambda folder: changed(folder, aabb=None), "states no box"),
        (lambda folder: changed(folder, aabb=[[-9, -9, -9], [9, 9, 9]]), "stands in the box"),
        (lambda folder: changed(folder, aabb=[[-9, 90, -9], [9, 99, 9]]), "looks away from the box"),
    ],
)
def test_damage_is_found_afterwards(original: Path, tmp_path: Path, damage: Any, says: str) -> None:
    out = tmp_path / "out"
    prepare_co3d(original, out, manner=SMALL)
    assert check_prepared(out) == {}
    damage(out / "apple" / "110_2")
    faults = check_prepared(out)
    assert list(faults) == ["apple/110_2"]
    assert says in str(faults["apple/110_2"])


def changed(folder: Path, **values: Any) -> None:
    file = folder / "transforms.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def test_there_must_be_something_to_check(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no prepared sequence"):
        check_prepared(tmp_path)

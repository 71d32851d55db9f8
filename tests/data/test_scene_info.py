"""What a scene says about itself before training, and the picture of its cameras."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from novelview.cameras import Cameras
from novelview.cameras.shell import Shell
from novelview.data.info import describe, overlap
from novelview.data.procedural import make_scene
from novelview.data.rig import draw_rig, write_rig
from novelview.data.scene import Scene
from novelview.errors import OutputError
from novelview.geometry.rigid import Similarity, look_at


@pytest.fixture(scope="module")
def scene() -> Scene:
    return make_scene("object", 10, views=9, size=16, supersample=1)


def test_lengths_are_told_in_the_users_units(scene: Scene) -> None:
    far = scene.bounds.far
    text = describe(replace(scene, to_input=Similarity(10.0, torch.eye(3), torch.zeros(3))))
    assert f"to {far * 10:.4g} along z" in text
    assert "8 for training, 1 held out" in text
    assert "16x16" in text


def test_notes_are_part_of_the_description(scene: Scene) -> None:
    assert "note: Mind the gap." in describe(replace(scene, notes=("Mind the gap.",)))


def test_overlap_is_whole_for_twins_and_none_for_opposites() -> None:
    centres = torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, -1.0]])
    targets = torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.0, 1.0], [0.0, 0.0, -2.0]])
    poses = look_at(centres, targets, torch.tensor([0.0, -1.0, 0.0]).expand(3, 3))
    cameras = Cameras.pinhole(poses, torch.tensor([40.0, 40.0, 20.0, 20.0]), 40, 40)
    assert overlap(cameras, 1.0, 5.0).tolist() == [1.0, 1.0, 0.0]


def test_both_kinds_of_cameras_are_drawn_in_their_colours(scene: Scene, tmp_path: Path) -> None:
    write_rig(tmp_path / "rig.png", scene)
    with Image.open(tmp_path / "rig.png") as stored:
        picture = stored.convert("RGB")
    colours = {colour for _, colour in picture.getcolors(maxcolors=1 << 24) or []}
    assert {(0x25, 0x63, 0xEB), (0xEA, 0x58, 0x0C)} <= colours
    without = draw_rig(replace(scene, test=scene.train[[]]))
    drawn = {colour for _, colour in without.crop((0, 0, 1260, 420)).getcolors(maxcolors=1 << 24) or []}
    assert (0xEA, 0x58, 0x0C) not in drawn


def colours(picture: Image.Image) -> set[object]:
    """Of the panels, without the legend."""
    return {colour for _, colour in picture.crop((0, 0, 1260, 420)).getcolors(maxcolors=1 << 24) or []}


def test_pseudo_cameras_are_drawn_in_a_third_colour(scene: Scene, tmp_path: Path) -> None:
    green, plain = (0x15, 0x80, 0x3D), draw_rig(scene)
    pseudo = Shell(scene.train.cameras).cameras(1000, torch.Generator().manual_seed(0))
    write_rig(tmp_path / "rig.png", scene, pseudo)
    with Image.open(tmp_path / "rig.png") as stored:
        picture = stored.convert("RGB")
    assert green not in colours(plain)
    assert {green, (0x25, 0x63, 0xEB), (0xEA, 0x58, 0x0C)} <= colours(picture)
    legend = (0, 420, 1260, 450)
    assert picture.crop(legend).tobytes() != plain.crop(legend).tobytes()
    assert draw_rig(scene, pseudo[[]]).tobytes() == plain.tobytes()


def test_pseudo_cameras_far_away_are_within_the_picture(scene: Scene) -> None:
    far = scene.train.cameras[[0]]
    far = replace(far, camera_to_world=far.camera_to_world + torch.tensor([0.0, 0.0, 0.0, 30.0]))
    assert (0x15, 0x80, 0x3D) in colours(draw_rig(scene, far))


def test_a_single_view_can_be_described_and_drawn(scene: Scene) -> None:
    alone = replace(scene, train=scene.train[[0]], test=scene.test[[]])
    assert "a single view overlaps with none" in describe(alone)
    assert draw_rig(alone).size[0] > 0


def test_an_unwritable_picture_is_said(scene: Scene, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"rig\.png"):
        write_rig(tmp_path / "file" / "rig.png", scene)

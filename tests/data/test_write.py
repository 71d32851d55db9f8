"""Scenes that were made, written as captures and read again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from novelview.data.open import open_scene
from novelview.data.procedural import object_scene
from novelview.data.scene import Scene
from novelview.data.write import write_scene
from novelview.errors import OutputError
from novelview.geometry.rigid import Similarity, so3_exp
from novelview.types import Views


@pytest.fixture(scope="module")
def scene() -> Scene:
    made = object_scene("cup", 0, views=4, size=24, test_every=0)
    return replace(made, captions=("a cup",))


def test_a_scene_comes_back(scene: Scene, tmp_path: Path) -> None:
    write_scene(tmp_path, scene)
    found = open_scene(tmp_path, split="none", normalise=False)
    assert found.captions == ("a cup",)
    assert [Path(name).stem for name in found.train.names] == list(scene.train.names)
    for what in ("camera_to_world", "intrinsics"):
        torch.testing.assert_close(
            getattr(found.train.cameras, what), getattr(scene.train.cameras, what), atol=1e-5, rtol=0
        )
    torch.testing.assert_close(found.train.images(), scene.train.images(), atol=0.01, rtol=0)
    torch.testing.assert_close(found.train.masks(), scene.train.masks(), atol=0.002, rtol=0)
    torch.testing.assert_close(found.train.depths(), scene.train.depths(), atol=3e-4, rtol=0)


def test_it_is_written_in_the_users_coordinates(scene: Scene, tmp_path: Path) -> None:
    motion = Similarity(2.0, so3_exp(torch.tensor([0.3, -0.5, 0.2])), torch.tensor([1.0, 2.0, 3.0]))
    write_scene(tmp_path, replace(scene, to_input=motion))
    found = open_scene(tmp_path, split="none", normalise=False).train
    expected = scene.train.cameras.moved(motion)
    torch.testing.assert_close(found.cameras.camera_to_world, expected.camera_to_world, atol=1e-5, rtol=0)
    torch.testing.assert_close(found.depths(), 2 * scene.train.depths(), atol=3e-4, rtol=0)
    box = torch.tensor(json.loads((tmp_path / "transforms.json").read_text())["aabb"])
    middle = motion.points(torch.tensor([scene.bounds.box_min, scene.bounds.box_max]).mean(dim=0))
    torch.testing.assert_close(box.mean(dim=0), middle, atol=1e-5, rtol=0)


def test_views_without_masks_are_written_as_they_are(scene: Scene, tmp_path: Path) -> None:
    bare = Views.from_tensors(scene.train.cameras, scene.train.images())
    write_scene(tmp_path, replace(scene, train=bare, captions=()))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images", "transforms.json"]
    found = open_scene(tmp_path, split="none", measure=False).train
    assert not found.has_masks
    torch.testing.assert_close(found.images(), scene.train.images(), atol=0.002, rtol=0)


def test_distortion_is_refused(scene: Scene, tmp_path: Path) -> None:
    bent = replace(scene.train.cameras, lens=torch.ones(len(scene.train), dtype=torch.long))
    with pytest.raises(OutputError, match="distortion"):
        write_scene(tmp_path, replace(scene, train=scene.train.with_cameras(bent)))

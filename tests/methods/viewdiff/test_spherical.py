"""The authors' spherical cameras."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from novelview.errors import CameraError
from novelview.methods.viewdiff.spherical import azimuths_between, sphere_poses


def test_a_ring_is_the_recorded_one(shared: Path) -> None:
    folder = shared / "fixtures" / "viewdiff" / "a"
    told = json.loads((folder / "meta.json").read_text())["cameras"]["sphere"]
    azimuths = azimuths_between(told["start_phi"], told["end_phi"], told["n"])
    expected = load_file(folder / "cameras.safetensors")["sphere_poses"]
    found = sphere_poses(azimuths, told["theta"], told["radius"])
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


def test_cameras_look_at_the_origin_and_see_minus_z_upright() -> None:
    poses = sphere_poses(azimuths_between(-40.0, 320.0, 7), polar=50.0, radius=2.5)
    origin = poses[:, :3, 3]
    torch.testing.assert_close(origin, torch.tensor([0.0, 0.0, 2.5]).expand(7, 3), atol=1e-6, rtol=0)
    above = (poses @ torch.tensor([0.0, 0.0, -0.1, 1.0]))[:, 1]
    assert bool((above < -0.05).all())
    identity = torch.eye(3).expand(7, 3, 3)
    torch.testing.assert_close(poses[:, :3, :3].mT @ poses[:, :3, :3], identity, atol=1e-6, rtol=0)
    # 40 degrees above the horizon of a subject whose up is -z.
    heights = -torch.linalg.inv(poses)[:, 2, 3]
    torch.testing.assert_close(
        heights, torch.full((7,), 2.5).mul(torch.tensor(50.0).deg2rad().cos()), atol=1e-5, rtol=0
    )


def test_azimuths_leave_out_the_end() -> None:
    assert azimuths_between(-30.0, -80.0, 5) == (-30, -40, -50, -60, -70)


@pytest.mark.parametrize(("polar", "radius"), [(0.0, 4.0), (180.0, 4.0), (60.0, 0.0), (60.0, -1.0)])
def test_impossible_places_are_refused(polar: float, radius: float) -> None:
    with pytest.raises(CameraError, match="No camera can stand"):
        sphere_poses([0.0], polar, radius)

"""Which captures are forward-facing."""

from __future__ import annotations

import pytest
import torch

from novelview.cameras import Cameras
from novelview.data.bounds import looks_forward
from novelview.geometry.rigid import look_at


def row_of_cameras(turn: float, advance: float = 0.0) -> Cameras:
    """Five cameras side by side that turn by ``turn`` radians and walk ``advance`` from the first to the last."""
    share = torch.linspace(-0.5, 0.5, 5)
    centres = torch.stack([0.4 * share, torch.zeros(5), advance * share], dim=-1)
    angle = turn * share
    targets = centres + torch.stack([angle.sin(), torch.zeros(5), angle.cos()], dim=-1)
    poses = look_at(centres, targets, torch.tensor([0.0, -1.0, 0.0]).expand(5, 3))
    return Cameras.pinhole(poses, torch.tensor([80.0, 80.0, 50.0, 40.0]), 100, 80)


@pytest.mark.parametrize(
    ("turn", "advance", "forward"),
    [(0.0, 0.0, True), (0.1, 0.0, True), (1.0, 0.0, False), (0.0, 2.0, False), (6.0, 0.0, False)],
    ids=["shifted", "slightly turned", "panned", "walked", "turned around"],
)
def test_one_shared_view_must_hold_what_all_cameras_see(turn: float, advance: float, forward: bool) -> None:
    assert looks_forward(row_of_cameras(turn, advance), near=1.0) is forward

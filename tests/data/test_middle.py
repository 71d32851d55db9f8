"""Middle squares of photographs: the pixels and the cameras that see them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from novelview.cameras import Cameras
from novelview.data.middle import middle_squares
from novelview.geometry.lenses import Lens
from novelview.types import Views


def ramp(width: int, height: int, masked: bool = True) -> Views:
    """Two views whose red channel and mask grow along x, green along y."""
    pose = torch.eye(4)[:3].expand(2, 3, 4)
    camera = Cameras.pinhole(pose, torch.tensor([50.0, 52.0, width / 2, height / 2]), width, height)
    x, y = camera[0].pixel_grid().unbind(-1)
    image = torch.stack([x / width, y / height, torch.full_like(x, 0.5)], dim=-1).expand(2, -1, -1, -1)
    return Views.from_tensors(camera, image, image[..., 0] if masked else None, names=["a", "b"])


@pytest.mark.parametrize(("width", "height"), [(40, 24), (24, 40), (24, 24)])
def test_cameras_see_what_the_squares_show(width: int, height: int) -> None:
    found = middle_squares(ramp(width, height), 12)
    (x, y), (cx, cy) = found.cameras[0].pixel_grid().unbind(-1), found.cameras[0].intrinsics[0, 2:]
    # Where the original camera sees the same ray, as a share of its image.
    across = (50.0 * (x - cx) / found.cameras[0].intrinsics[0, 0] + width / 2) / width
    down = (52.0 * (y - cy) / found.cameras[0].intrinsics[0, 1] + height / 2) / height
    inner = slice(1, -1)  # Antialiasing has fewer neighbours at a border.
    torch.testing.assert_close(found.images()[0, inner, inner, 0], across[inner, inner])
    torch.testing.assert_close(found.images()[1, inner, inner, 1], down[inner, inner])
    torch.testing.assert_close(found.masks(), found.images()[..., 0])
    assert found.names == ("a", "b")


def test_squares_of_the_right_size_stay_as_they_are() -> None:
    views = ramp(16, 16, masked=False)
    found = middle_squares(views, 16)
    assert torch.equal(found.images(), views.images())
    assert torch.equal(found.cameras.intrinsics, views.cameras.intrinsics)
    assert not found.has_masks


def test_lenses_are_taken_out() -> None:
    views = ramp(16, 16)
    lens = torch.full_like(views.cameras.lens, int(Lens.OPENCV))
    coefficients = torch.zeros_like(views.cameras.distortion)
    coefficients[:, 0] = 0.1
    curved = views.with_cameras(replace(views.cameras, lens=lens, distortion=coefficients))
    found = middle_squares(curved, 16)
    assert (found.cameras.lens == Lens.PINHOLE).all()
    assert not torch.equal(found.images(), views.images())

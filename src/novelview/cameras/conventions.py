"""To and from the camera conventions of other programs.

Ours: camera-to-world, axes right, down, forward (OpenCV), intrinsics in pixels with centres at +0.5. Every other
convention is named once, here, with a function each way. Poses are three rows of four.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from novelview.cameras.cameras import Cameras
from novelview.errors import CameraError
from novelview.geometry.rigid import invert, matrix_to_quaternion, quaternion_to_matrix


def from_opengl(camera_to_world: Float[Tensor, "n 3 4"]) -> Float[Tensor, "n 3 4"]:
    """Poses of cameras with axes right, up, back: OpenGL, Blender, transforms.json, nerfstudio, three.js."""
    return camera_to_world * camera_to_world.new_tensor([1.0, -1.0, -1.0, 1.0])


def to_opengl(camera_to_world: Float[Tensor, "n 3 4"]) -> Float[Tensor, "n 3 4"]:
    """Camera-to-world poses with axes right, up, back."""
    return from_opengl(camera_to_world)  # The same turn by half a circle about the x axis takes both ways.


def from_colmap(
    quaternion: Float[Tensor, "n 4"], translation: Float[Tensor, "n 3"]
) -> Float[Tensor, "n 3 4"]:
    """Poses out of COLMAP's images file: world-to-camera, quaternion (w, x, y, z) of any length, axes as ours."""
    rotation = quaternion_to_matrix(torch.nn.functional.normalize(quaternion, dim=-1))
    return invert(torch.cat([rotation, translation[..., None]], dim=-1))


def to_colmap(camera_to_world: Float[Tensor, "n 3 4"]) -> tuple[Float[Tensor, "n 4"], Float[Tensor, "n 3"]]:
    """World-to-camera quaternion (w, x, y, z) and translation as in COLMAP's images file."""
    world_to_camera = invert(camera_to_world)
    return matrix_to_quaternion(world_to_camera[:, :, :3]), world_to_camera[:, :, 3]


def from_llff_axes(camera_to_world: Float[Tensor, "n 3 4"]) -> Float[Tensor, "n 3 4"]:
    """Poses of cameras with axes down, right, back: LLFF."""
    down, right, back, centre = camera_to_world.unbind(dim=-1)
    return torch.stack([right, down, -back, centre], dim=-1)


def from_llff(poses: Float[Tensor, "n 3 5"]) -> Cameras:
    """Cameras out of LLFF's 3x5 matrices: camera-to-world axes down, right, back, centre; height, width, focal.

    Raises:
        CameraError: the sizes differ or are not whole numbers of pixels.
    """
    height, width, focal = poses[:, :, 4].unbind(dim=-1)
    sizes = torch.stack([width, height], dim=-1)
    if not len(poses) or not bool(((sizes == sizes[0]) & (sizes >= 1) & (sizes == sizes.round())).all()):
        raise CameraError("These LLFF poses have no common image size", why=f"sizes {sizes[:8].tolist()}")
    intrinsics = torch.stack([focal, focal, width / 2, height / 2], dim=-1)
    return Cameras.pinhole(from_llff_axes(poses[:, :, :4]), intrinsics, int(width[0]), int(height[0]))


def to_llff(cameras: Cameras) -> Float[Tensor, "n 3 5"]:
    """LLFF's 3x5 matrices.

    Raises:
        CameraError: a camera has distortion, pixels that are not square, or a principal point off the centre.
    """
    fx, fy, cx, cy = cameras.intrinsics.unbind(dim=-1)
    width, height = cameras.sizes.to(fx).unbind(dim=-1)
    off = torch.stack([fx / fy - 1, cx / width - 0.5, cy / height - 0.5]).abs().amax(dim=0)
    if not bool(((cameras.lens == 0) & (off < 1e-3)).all()):
        raise CameraError(
            "LLFF poses cannot hold these cameras",
            why="LLFF knows one focal length and nothing else",
            cure="undistort the images, or write transforms.json",
        )
    right, down, forward, centre = cameras.camera_to_world.unbind(dim=-1)
    size = torch.stack([height, width, fx], dim=-1)
    return torch.stack([down, right, -forward, centre, size], dim=-1)


def from_pytorch3d(
    rotation: Float[Tensor, "n 3 3"],
    translation: Float[Tensor, "n 3"],
    focal: Float[Tensor, "n 2"],
    principal: Float[Tensor, "n 2"],
    width: int,
    height: int,
) -> Cameras:
    """Cameras out of PyTorch3D's PerspectiveCameras in NDC.

    World-to-camera for row vectors, x_camera = x_world R + T, with camera axes left, up, forward. NDC: the SHORT
    side of the image spans [-1, 1], +x left and +y up.

    Args:
        focal: in NDC, fx and fy.
        principal: in NDC.
    """
    turn = rotation.new_tensor([-1.0, -1.0, 1.0])
    world_to_camera = torch.cat([(rotation * turn).mT, (translation * turn)[..., None]], dim=-1)
    unit = min(width, height) / 2
    middle = focal.new_tensor([width / 2, height / 2])
    return Cameras.pinhole(
        invert(world_to_camera), torch.cat([focal * unit, middle - principal * unit], dim=-1), width, height
    )


def to_pytorch3d(
    cameras: Cameras,
) -> tuple[Float[Tensor, "n 3 3"], Float[Tensor, "n 3"], Float[Tensor, "n 2"], Float[Tensor, "n 2"]]:
    """R, T, focal length and principal point of PyTorch3D's PerspectiveCameras in NDC; distortion is left out."""
    world_to_camera = invert(cameras.camera_to_world)
    turn = world_to_camera.new_tensor([-1.0, -1.0, 1.0])
    sizes = cameras.sizes.to(cameras.intrinsics)
    unit = sizes.amin(dim=-1, keepdim=True) / 2
    principal = (sizes / 2 - cameras.intrinsics[:, 2:]) / unit
    rotation, translation = world_to_camera[:, :, :3].mT * turn, world_to_camera[:, :, 3] * turn
    return rotation, translation, cameras.intrinsics[:, :2] / unit, principal


def focal_from_fov(fov: float, side: int) -> float:
    """Focal length in pixels of a full field of view in radians along an image side of ``side`` pixels."""
    return 0.5 * side / math.tan(0.5 * fov)


def fov_from_focal(focal: float, side: int) -> float:
    """Full field of view in radians along an image side of ``side`` pixels."""
    return 2.0 * math.atan2(0.5 * side, focal)

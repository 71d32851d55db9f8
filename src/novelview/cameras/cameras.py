"""The camera object of the whole program: pose, intrinsics, lens and image size, never one without the others.

Convention, written once: camera-to-world, OpenCV axes (x right, y down, z forward), pixels with their centres at
+0.5, so the top-left corner of an image is (0, 0) and its bottom-right corner is (width, height).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from novelview.errors import CameraError
from novelview.geometry.lenses import COEFFICIENTS, Lens, distort, undistort
from novelview.geometry.rays import Rays
from novelview.geometry.rigid import Similarity, is_rigid, nearest_rotation

LONGEST_SIDE = 1_000_000
_LARGEST = 1e12  # Squares of larger numbers leave the range of float32 soon.
# Largest entry of R^T R - 1 that still passes for rounding: rotations that were written with three decimals reach 2e-3,
# while nobody scales or shears by less than half a percent on purpose.
_DRIFT = 1e-2


@dataclass(frozen=True)
class Cameras:
    """``n`` cameras.

    Attributes:
        camera_to_world: poses; the left 3x3 block is a rotation, the last column the camera centre.
        intrinsics: fx, fy, cx, cy in pixels.
        sizes: width, height in pixels.
        lens: a :class:`~novelview.geometry.lenses.Lens` value per camera.
        distortion: lens coefficients, zero for a pinhole.
    """

    camera_to_world: Float[Tensor, "n 3 4"]
    intrinsics: Float[Tensor, "n 4"]
    sizes: Int[Tensor, "n 2"]
    lens: Int[Tensor, " n"]
    distortion: Float[Tensor, "n 8"]

    @staticmethod
    def pinhole(
        camera_to_world: Float[Tensor, "n _ 4"],
        intrinsics: Float[Tensor, "*n 4"],
        width: int,
        height: int,
    ) -> Cameras:
        """Cameras of one size without distortion; ``camera_to_world`` may be 3x4 or 4x4, intrinsics (4) are shared."""
        count, device = camera_to_world.shape[0], camera_to_world.device
        return Cameras(
            camera_to_world=camera_to_world[:, :3],
            intrinsics=intrinsics.expand(count, 4),
            sizes=torch.tensor([width, height], device=device).expand(count, 2),
            lens=torch.zeros(count, dtype=torch.long, device=device),
            distortion=torch.zeros(count, COEFFICIENTS, dtype=camera_to_world.dtype, device=device),
        )

    @staticmethod
    def concatenate(parts: list[Cameras]) -> Cameras:
        """All cameras of ``parts`` in order."""
        return Cameras(
            camera_to_world=torch.cat([part.camera_to_world for part in parts]),
            intrinsics=torch.cat([part.intrinsics for part in parts]),
            sizes=torch.cat([part.sizes for part in parts]),
            lens=torch.cat([part.lens for part in parts]),
            distortion=torch.cat([part.distortion for part in parts]),
        )

    def validated(self, names: Sequence[str] | None = None) -> Cameras:
        """The same cameras, proven possible, with rotations that drifted by rounding put right.

        Args:
            names: how errors call the views; by default their numbers.

        Raises:
            CameraError: of the first view that is impossible.
        """
        for faulty, why, values, cure in self._faults():
            if bool(faulty.any()):
                i = int(faulty.int().argmax())
                name = f"view {i}" if names is None else names[i]
                found = ", ".join(f"{value:.4g}" for value in values[i].flatten().tolist())
                raise CameraError("This camera is impossible", where=name, why=f"{why}: {found}", cure=cure)
        rotation = nearest_rotation(self.rotations)
        return replace(self, camera_to_world=torch.cat([rotation, self.camera_to_world[:, :, 3:]], dim=-1))

    def _faults(self) -> Iterator[tuple[Tensor, str, Tensor, str]]:
        """Which cameras have a fault, what it is, its values and what to do about it, fault by fault."""
        poses, sizes, focal = self.camera_to_world, self.sizes, self.intrinsics[:, :2]
        rows = poses.flatten(1)
        # Comparisons are written so that NaN fails them.
        yield (
            ~(rows.abs() < _LARGEST).all(-1),
            "its pose is not finite, or absurdly large",
            rows,
            "check the pose: registration may have failed for this view",
        )
        determinant = torch.linalg.det(self.rotations)
        yield (
            determinant < 0,
            "its pose mirrors the world, with a determinant below 0",
            determinant,
            "flip one axis: the convention is wrong",
        )
        yield (
            ~is_rigid(poses, _DRIFT),
            "its pose is not a rigid motion: the axes are scaled or not at right angles, their lengths",
            self.rotations.norm(dim=-2),
            "give rotation and translation only; undo a scale in the rotation first",
        )
        yield (
            ~((sizes >= 1) & (sizes <= LONGEST_SIDE)).all(-1),
            "its image size is not positive, or absurdly large",
            sizes,
            "give width and height in pixels",
        )
        yield (
            ~((focal > 1e-6) & (focal < _LARGEST)).all(-1),
            "its focal length is not a positive number",
            focal,
            "give focal lengths in pixels",
        )
        yield (
            ~(self.intrinsics[:, 2:].abs() <= 1000 * sizes.amax(-1, keepdim=True)).all(-1),
            "its principal point is far outside the image, or not a number",
            self.intrinsics[:, 2:],
            "give the principal point in pixels from the top left corner",
        )
        yield (
            ~(self.distortion.abs() < _LARGEST).all(-1),
            "its lens coefficients are not finite, or absurdly large",
            self.distortion,
            "correct the coefficients, or set them to zero",
        )
        unknown = (self.lens < 0) | (self.lens > max(Lens))
        yield unknown, "its lens is unknown", self.lens, "use a value of Lens"

    def __len__(self) -> int:
        return self.camera_to_world.shape[0]

    def __getitem__(self, index: int | slice | list[int] | tuple[int, ...] | Tensor) -> Cameras:
        """A subset; always a batch, also for a single integer."""
        if isinstance(index, int):
            index = [index]
        elif isinstance(index, tuple):
            index = list(index)
        return Cameras(
            camera_to_world=self.camera_to_world[index],
            intrinsics=self.intrinsics[index],
            sizes=self.sizes[index],
            lens=self.lens[index],
            distortion=self.distortion[index],
        )

    @property
    def centres(self) -> Float[Tensor, "n 3"]:
        """Camera centres in world units."""
        return self.camera_to_world[:, :, 3]

    @property
    def rotations(self) -> Float[Tensor, "n 3 3"]:
        """Camera-to-world rotations; columns are the camera's right, down and forward axes."""
        return self.camera_to_world[:, :, :3]

    @property
    def forward(self) -> Float[Tensor, "n 3"]:
        """Viewing directions, unit length."""
        return self.camera_to_world[:, :, 2]

    @property
    def device(self) -> torch.device:
        return self.camera_to_world.device

    @property
    def common_size(self) -> tuple[int, int]:
        """(width, height) shared by all cameras.

        Raises:
            CameraError: the cameras differ in size.
        """
        if len(self) == 0:
            raise CameraError("There is no camera, so there is no image size")
        if not bool((self.sizes == self.sizes[:1]).all()):
            raise CameraError(
                "The cameras differ in image size",
                why=f"sizes {sorted({(int(w), int(h)) for w, h in self.sizes.tolist()})}",
                cure="handle one camera at a time, or resize the images to one size",
            )
        width, height = self.sizes[0].tolist()
        return int(width), int(height)

    def to(self, device: torch.device | str) -> Cameras:
        return Cameras(
            camera_to_world=self.camera_to_world.to(device),
            intrinsics=self.intrinsics.to(device),
            sizes=self.sizes.to(device),
            lens=self.lens.to(device),
            distortion=self.distortion.to(device),
        )

    def relative_intrinsics(self) -> Float[Tensor, "n 3 3"]:
        """Intrinsic matrices for coordinates in parts of the image: (1, 1) is its lower right corner."""
        size = self.sizes.to(self.intrinsics)
        matrix = torch.eye(3).to(self.intrinsics).repeat(len(self), 1, 1)
        matrix[:, 0, 0], matrix[:, 1, 1] = (self.intrinsics[:, :2] / size).unbind(-1)
        matrix[:, :2, 2] = self.intrinsics[:, 2:] / size
        return matrix

    def moved(self, motion: Similarity) -> Cameras:
        """The same cameras in another world frame."""
        return replace(self, camera_to_world=motion.poses(self.camera_to_world))

    def undistorted(self) -> Cameras:
        """Pinhole cameras with the same poses, intrinsics and sizes."""
        return replace(self, lens=torch.zeros_like(self.lens), distortion=torch.zeros_like(self.distortion))

    def resized(self, width: int, height: int) -> Cameras:
        """Cameras of the same field of view with images of ``width`` x ``height``: the image is resampled.

        Raises:
            CameraError: a side below 1.
        """
        _check_size(width, height)
        size = torch.tensor([width, height], device=self.device)
        ratio = size.to(self.intrinsics.dtype) / self.sizes.to(self.intrinsics.dtype)
        return replace(self, intrinsics=self.intrinsics * ratio.repeat(1, 2), sizes=size.expand(len(self), 2))

    def cropped(self, left: int, top: int, width: int, height: int) -> Cameras:
        """Cameras that see only the window whose top-left corner is (left, top); it may reach beyond the image.

        Raises:
            CameraError: a side below 1.
        """
        _check_size(width, height)
        shift = torch.tensor([0, 0, left, top], device=self.device, dtype=self.intrinsics.dtype)
        size = torch.tensor([width, height], device=self.device)
        return replace(self, intrinsics=self.intrinsics - shift, sizes=size.expand(len(self), 2))

    def through_pixels(self, pixel_centre: float) -> Cameras:
        """Cameras whose rays pass at ``pixel_centre`` instead of 0.5 in every pixel, for networks that learnt so."""
        offset = 0.5 - pixel_centre
        return replace(self, intrinsics=self.intrinsics + self.intrinsics.new_tensor([0, 0, offset, offset]))

    def blocks(self, factor: int) -> Cameras:
        """Cameras with one pixel for each block of ``factor`` x ``factor`` pixels; blocks may reach beyond the image."""
        width, height = self.common_size
        columns, rows = -(-width // factor), -(-height // factor)
        return self.cropped(0, 0, columns * factor, rows * factor).resized(columns, rows)

    def pixel_grid(self) -> Float[Tensor, "h w 2"]:
        """Pixel centres (x, y) of the common image size."""
        width, height = self.common_size
        dtype, device = self.camera_to_world.dtype, self.device
        y, x = torch.meshgrid(
            torch.arange(height, dtype=dtype, device=device) + 0.5,
            torch.arange(width, dtype=dtype, device=device) + 0.5,
            indexing="ij",
        )
        return torch.stack([x, y], dim=-1)

    def rays_through(self, pixels: Float[Tensor, "n p 2"]) -> Rays:
        """Rays of each camera through its own pixels (x, y); shapes (n, p, 3)."""
        normalised = (pixels - self.intrinsics[:, None, 2:]) / self.intrinsics[:, None, :2]
        if bool((self.lens != Lens.PINHOLE).any()):
            normalised = undistort(normalised, self.lens, self.distortion)
        local = torch.cat([normalised, torch.ones_like(normalised[..., :1])], dim=-1)
        directions = torch.einsum("nij,npj->npi", self.rotations, local)
        return Rays(self.centres[:, None].expand_as(directions), directions)

    def rays(self) -> Rays:
        """Rays through every pixel centre of every camera; shapes (n, h, w, 3)."""
        grid = self.pixel_grid()
        height, width = grid.shape[:2]
        pixels = grid.reshape(1, -1, 2).expand(len(self), -1, -1)
        return self.rays_through(pixels).reshape(len(self), height, width)

    def project(self, points: Float[Tensor, "p 3"]) -> tuple[Float[Tensor, "n p 2"], Float[Tensor, "n p"]]:
        """Pixels (x, y) and depths along z of world points in every camera.

        Points at or behind the camera plane have depth <= 0 and meaningless pixels.
        """
        offset = points[None] - self.centres[:, None]
        local = torch.einsum("nji,npj->npi", self.rotations, offset)
        depth = local[..., 2]
        safe = torch.where(depth.abs() < 1e-9, torch.full_like(depth, 1e-9), depth)
        normalised = local[..., :2] / safe[..., None]
        if bool((self.lens != Lens.PINHOLE).any()):
            normalised = distort(normalised, self.lens, self.distortion)
        pixels = normalised * self.intrinsics[:, None, :2] + self.intrinsics[:, None, 2:]
        return pixels, depth


def _check_size(width: int, height: int) -> None:
    if width < 1 or height < 1:
        raise CameraError(
            f"An image of {width}x{height} is impossible", cure="width and height must be at least one pixel"
        )

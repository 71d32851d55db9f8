"""Tiny captures, one per format, all of the same four views of a point."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

WIDTH, HEIGHT, FOCAL = 8, 6, 10.0
OPENCV = np.diag([1.0, -1.0, -1.0, 1.0])


def _look_at_origin(angle: float) -> np.ndarray:
    """OpenGL camera-to-world pose on a circle of radius 4, one unit up."""
    centre = np.array([4 * math.cos(angle), 4 * math.sin(angle), 1.0])
    back = centre / np.linalg.norm(centre)
    right = np.cross([0.0, 0.0, 1.0], back)
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3] = np.stack([right, np.cross(back, right), back, centre], axis=1)
    return pose


@pytest.fixture(scope="session")
def poses() -> np.ndarray:
    """Four OpenGL camera-to-world matrices."""
    return np.stack([_look_at_origin(0.3 * i) for i in range(4)])


@pytest.fixture(scope="session")
def opencv_poses(poses: np.ndarray) -> np.ndarray:
    """The same poses as the program keeps them."""
    return (poses @ OPENCV)[:, :3]


def write_image(path: Path, size: tuple[int, int] = (WIDTH, HEIGHT), mode: str = "RGB") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size).save(path)
    return path


@pytest.fixture
def image() -> Callable[..., Path]:
    return write_image


Change = Callable[[dict[str, Any]], None]
Arrays = Callable[[dict[str, np.ndarray]], None]


def write_transforms(root: Path, poses: np.ndarray, change: Change = lambda data: None) -> Path:
    """A folder with images/0.png … and transforms.json; ``change`` may edit the JSON before it is written."""
    data: dict[str, Any] = {"fl_x": FOCAL, "fl_y": FOCAL + 1, "cx": 4.25, "cy": 2.5, "w": WIDTH, "h": HEIGHT}
    data["frames"] = []
    for i, pose in enumerate(poses):
        write_image(root / "images" / f"{i}.png")
        data["frames"].append({"file_path": f"images/{i}.png", "transform_matrix": pose.tolist()})
    change(data)
    (root / "transforms.json").write_text(json.dumps(data))
    return root


def write_blender(root: Path, poses: np.ndarray) -> Path:
    for part, chosen in (("train", poses[:2]), ("val", poses[2:3]), ("test", poses[3:])):
        frames = []
        for i, pose in enumerate(chosen):
            write_image(root / part / f"r_{i}.png", mode="RGBA")
            frames.append(
                {"file_path": f"./{part}/r_{i}", "rotation": 0.1, "transform_matrix": pose.tolist()}
            )
        data = {"camera_angle_x": 2 * math.atan(WIDTH / 2 / FOCAL), "frames": frames}
        (root / f"transforms_{part}.json").write_text(json.dumps(data))
    return root


def write_llff(root: Path, poses: np.ndarray) -> Path:
    rows = []
    for i, pose in enumerate(poses):
        write_image(root / "images" / f"{i}.png")
        right, up, back, centre = pose[:3].T
        matrix = np.stack([-up, right, back, centre, [2 * HEIGHT, 2 * WIDTH, 2 * FOCAL]], axis=1)
        rows.append([*matrix.ravel(), 1.0 + i, 9.0])
    np.save(root / "poses_bounds.npy", np.array(rows))
    return root


def write_colmap(root: Path, poses: np.ndarray, kind: str = ".txt") -> Path:
    """A text model by hand; the binary one is that text converted by pycolmap."""
    model = root / "sparse" / "0"
    model.mkdir(parents=True)
    points = np.random.default_rng(0).uniform(-0.5, 0.5, (20, 3))
    (model / "cameras.txt").write_text(f"# a comment\n7 SIMPLE_RADIAL {WIDTH} {HEIGHT} {FOCAL} 4 3 0.1\n")
    lines = []
    for i, pose in enumerate(poses):
        write_image(root / "images" / f"{i}.png")
        world_to_camera = np.linalg.inv(pose @ OPENCV)
        q = quaternion(world_to_camera[:3, :3])
        lines.append(" ".join(map(repr, [i + 1, *q.tolist(), *world_to_camera[:3, 3].tolist(), 7])))
        lines[-1] += f" {i}.png"
        seen = range(20) if i else []
        lines.append(" ".join(f"1.5 2.5 {p + 3}" for p in seen) + (" 3.5 0.5 -1" if i else ""))
    (model / "images.txt").write_text("\n".join(lines) + "\n")
    track = [f"{image} {p}" for image in (2, 3, 4) for p in [0]]
    rows = [
        f"{p + 3} {x!r} {y!r} {z!r} 10 20 30 0.5 " + " ".join(t[:-1] + str(p) for t in track)
        for p, (x, y, z) in enumerate(points.tolist())
    ]
    (model / "points3D.txt").write_text("\n".join(rows) + "\n")
    if kind == ".bin":
        pycolmap = pytest.importorskip("pycolmap")
        pycolmap.Reconstruction(str(model)).write_binary(str(model))
        for file in model.glob("*.txt"):
            file.unlink()
    return root


def write_lvsm(root: Path, poses: np.ndarray, change: Change = lambda data: None) -> Path:
    """A folder with images/0.png … and scene.json; ``change`` may edit the JSON before it is written."""
    frames: list[dict[str, Any]] = []
    for i, pose in enumerate(poses):
        write_image(root / "images" / f"{i}.png")
        frame = {"image_path": f"images/{i}.png", "fxfycxcy": [FOCAL, FOCAL + 1, 4.25, 2.5]}
        frames.append({**frame, "w2c": np.linalg.inv(pose @ OPENCV).tolist()})
    data = {"scene_name": "toy", "frames": frames}
    change(data)
    (root / "scene.json").write_text(json.dumps(data))
    return root


def write_re10k(root: Path, poses: np.ndarray) -> Path:
    """A folder with toy.txt and the frames toy/1000000.png …."""
    lines = ["https://www.youtube.com/watch?v=toy"]
    for i, pose in enumerate(poses):
        time = 1_000_000 + 33_333 * i
        write_image(root / "toy" / f"{time}.png")
        row = [FOCAL / WIDTH, (FOCAL + 1) / HEIGHT, 0.5, 0.5, 0, 0, *np.linalg.inv(pose @ OPENCV)[:3].ravel()]
        lines.append(" ".join(map(str, [time, *row])))
    (root / "toy.txt").write_text("\n".join(lines) + "\n")
    return root


def write_idr(root: Path, poses: np.ndarray, change: Arrays = lambda arrays: None) -> Path:
    """A folder with image/0.png …, mask/00.png … and cameras.npz; ``change`` may edit the arrays before they are written."""
    intrinsics = np.array([[FOCAL, 0, 4.25, 0], [0, FOCAL + 1, 2.5, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    arrays = {}
    for i, pose in enumerate(poses):
        write_image(root / "image" / f"{i}.png")
        write_image(root / "mask" / f"{i:02}.png", mode="L")
        # Projections of any positive scale are the same.
        arrays[f"world_mat_{i}"] = np.diag([3.0, 3, 3, 1]) @ intrinsics @ np.linalg.inv(pose @ OPENCV)
        arrays[f"scale_mat_{i}"] = np.array([[2.0, 0, 0, 1], [0, 2, 0, 2], [0, 0, 2, 3], [0, 0, 0, 1]])
    change(arrays)
    np.savez(root / "cameras.npz", **arrays)
    return root


def write_dvr(root: Path, poses: np.ndarray, change: Arrays = lambda arrays: None) -> Path:
    """The same as :func:`write_idr` with pose and intrinsics apart, and sparse points."""
    x, y = 2 / (WIDTH - 1), 2 / (HEIGHT - 1)
    camera = np.eye(4)
    camera[0, [0, 2]] = FOCAL * x, (4.25 - 0.5) * x - 1
    camera[1, [1, 2]] = (FOCAL + 1) * y, (2.5 - 0.5) * y - 1
    arrays = {}
    for i, pose in enumerate(poses):
        write_image(root / "image" / f"{i}.png")
        write_image(root / "mask" / f"{i}.png", mode="L")
        arrays[f"camera_mat_{i}"] = camera
        arrays[f"world_mat_{i}"] = np.linalg.inv(pose @ OPENCV)
        arrays[f"world_mat_inv_{i}"] = pose @ OPENCV
    change(arrays)
    np.savez(root / "cameras.npz", **arrays)
    np.savez(root / "pcl.npz", points=np.eye(3, dtype=np.float32), visibility_0000=np.arange(2))
    return root


def quaternion(rotation: np.ndarray) -> np.ndarray:
    """(w, x, y, z) of a rotation: the eigenvector of the attitude matrix, a different way than the reader's."""
    r = rotation
    k = np.array(
        [
            [np.trace(r), r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1]],
            [r[2, 1] - r[1, 2], r[0, 0] - r[1, 1] - r[2, 2], r[0, 1] + r[1, 0], r[0, 2] + r[2, 0]],
            [r[0, 2] - r[2, 0], r[0, 1] + r[1, 0], r[1, 1] - r[0, 0] - r[2, 2], r[1, 2] + r[2, 1]],
            [r[1, 0] - r[0, 1], r[0, 2] + r[2, 0], r[1, 2] + r[2, 1], r[2, 2] - r[0, 0] - r[1, 1]],
        ]
    )
    return np.linalg.eigh(k)[1][:, -1]


@pytest.fixture
def transforms(tmp_path: Path, poses: np.ndarray) -> Callable[[Change], Path]:
    return lambda change=lambda data: None: write_transforms(tmp_path, poses, change)


@pytest.fixture
def lvsm(tmp_path: Path, poses: np.ndarray) -> Callable[[Change], Path]:
    return lambda change=lambda data: None: write_lvsm(tmp_path, poses, change)


@pytest.fixture
def re10k(tmp_path: Path, poses: np.ndarray) -> Path:
    return write_re10k(tmp_path, poses)


@pytest.fixture
def idr(tmp_path: Path, poses: np.ndarray) -> Callable[[Arrays], Path]:
    return lambda change=lambda arrays: None: write_idr(tmp_path, poses, change)


@pytest.fixture
def dvr(tmp_path: Path, poses: np.ndarray) -> Callable[[Arrays], Path]:
    return lambda change=lambda arrays: None: write_dvr(tmp_path, poses, change)


@pytest.fixture
def dvr_in(poses: np.ndarray) -> Callable[[Path], Path]:
    """Writes a capture into a folder of any name."""
    return lambda root: write_dvr(root, poses)


@pytest.fixture
def blender(tmp_path: Path, poses: np.ndarray) -> Path:
    return write_blender(tmp_path, poses)


@pytest.fixture
def llff(tmp_path: Path, poses: np.ndarray) -> Path:
    return write_llff(tmp_path, poses)


@pytest.fixture(params=[".txt", ".bin"])
def colmap(tmp_path: Path, poses: np.ndarray, request: pytest.FixtureRequest) -> Path:
    return write_colmap(tmp_path, poses, request.param)


@pytest.fixture(scope="session")
def every_format(tmp_path_factory: pytest.TempPathFactory, poses: np.ndarray) -> dict[str, dict[str, bytes]]:
    """The files of one valid capture per format, by their relative paths."""
    writers: dict[str, Callable[[Path], Path]] = {
        "transforms": lambda root: write_transforms(root, poses, _everything),
        "blender": lambda root: write_blender(root, poses),
        "llff": lambda root: write_llff(root, poses),
        "colmap text": lambda root: write_colmap(root, poses, ".txt"),
        "colmap binary": lambda root: write_colmap(root, poses, ".bin"),
        "lvsm-json": lambda root: write_lvsm(root, poses),
        "re10k": lambda root: write_re10k(root, poses),
        "idr": lambda root: write_idr(root, poses),
        "dvr": lambda root: write_dvr(root, poses),
    }
    captures = {}
    for name, write in writers.items():
        root = write(tmp_path_factory.mktemp("capture"))
        if name == "transforms":
            (root / "points.ply").write_bytes(ply_bytes())
        files = [path for path in root.rglob("*") if path.is_file()]
        captures[name] = {path.relative_to(root).as_posix(): path.read_bytes() for path in files}
    return captures


def _everything(data: dict[str, Any]) -> None:
    """Every optional field, so that the fuzz test meets all code paths."""
    data |= {"k1": 0.1, "camera_model": "OPENCV", "aabb": [[-1, -1, -1], [1, 1, 1]], "near_far": [1, 9]}
    data |= {"train_filenames": ["images/0.png"], "test_filenames": ["images/1.png"]}
    data |= {"ply_file_path": "points.ply", "integer_depth_scale": 0.01}
    data["frames"][0] |= {"mask_path": "images/1.png", "depth_file_path": "images/2.png", "near_far": [2, 3]}


def ply_bytes() -> bytes:
    header = b"ply\nformat binary_little_endian 1.0\nelement vertex 2\nproperty float x\nproperty float y\n"
    header += b"property float z\nproperty uchar red\nend_header\n"
    record = np.dtype([("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("red", "u1")])
    return header + np.array([(1, 2, 3, 4), (5, 6, 7, 8)], record).tobytes()

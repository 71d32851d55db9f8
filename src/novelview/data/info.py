"""What there is to know about a scene before anything is trained on it, as text."""

from __future__ import annotations

import math
from collections import Counter

import torch
from torch import Tensor

from novelview.cameras.cameras import Cameras
from novelview.data.scene import Scene
from novelview.geometry.lenses import Lens

# Points per view that are looked for in the other views, per image axis and depth.
_GRID = 8


def describe(scene: Scene) -> str:
    """Cameras, extent, depth range, overlap and notes of a scene, in units of the input, one fact a line."""
    cameras = Cameras.concatenate([part.cameras for part in (scene.train, scene.test) if len(part)])
    unit = scene.to_input.scale
    facts = {
        "scene": scene.name,
        "views": f"{len(scene.train)} for training, {len(scene.test)} held out",
        "sizes": _counted([f"{w}x{h}" for w, h in cameras.sizes.tolist()]),
        "lenses": _counted([Lens(lens).name.lower() for lens in cameras.lens.tolist()]),
        "field of view": _field_of_view(cameras),
        "extent": " x ".join(f"{side * unit:.4g}" for side in _extent(cameras)) + " between camera centres",
        "baseline": f"{_baseline(cameras) * unit:.4g} to the nearest other camera (median)",
        "arrangement": "forward-facing" if scene.bounds.forward_facing else "around or inside the scene",
        "depth range": f"{scene.bounds.near * unit:.4g} to {scene.bounds.far * unit:.4g} along z",
        "box": _box(scene),
        "beyond the box": "visible" if scene.bounds.unbounded else "nothing",
        "masks": "yes" if scene.train.has_masks else "no",
        "depth maps": "yes" if scene.train.has_depths else "no",
        "sparse depths": "yes, of points that views see" if scene.train.has_sparse_depths else "no",
        "overlap": _overlap_text(cameras, scene),
    }
    width = max(map(len, facts))
    lines = [f"{name:<{width}}  {value}" for name, value in facts.items()]
    return "\n".join([*lines, *[f"note: {note}" for note in scene.notes]])


def overlap(cameras: Cameras, near: float, far: float) -> Tensor:
    """Share of each view's frustum (n) that at least one other view sees; occlusion is not known and ignored.

    Args:
        cameras: all views.
        near: smallest depth looked at, in the cameras' units.
        far: largest such depth.
    """
    steps = (torch.arange(_GRID) + 0.5) / _GRID
    # Evenly spaced in disparity, as depth shows in pictures.
    depths = 1 / (1 / near + (1 / far - 1 / near) * steps)
    shares = []
    for i in range(len(cameras)):
        width, height = cameras.sizes[i].tolist()
        y, x = torch.meshgrid(steps * height, steps * width, indexing="ij")
        rays = cameras[i].rays_through(torch.stack([x, y], dim=-1).reshape(1, -1, 2))
        points = rays.at(depths.expand(1, _GRID**2, _GRID)).reshape(-1, 3)
        pixels, depth = cameras.project(points[points.isfinite().all(-1)])
        inside = (pixels > 0).all(-1) & (pixels < cameras.sizes[:, None]).all(-1) & (depth > 0)
        inside[i] = False
        shares.append(inside.any(0).float().mean())
    return torch.stack(shares)


def _box(scene: Scene) -> str:
    sides = zip(scene.bounds.box_min, scene.bounds.box_max, strict=True)
    return " x ".join(f"{(high - low) * scene.to_input.scale:.4g}" for low, high in sides)


def _overlap_text(cameras: Cameras, scene: Scene) -> str:
    if len(cameras) < 2:
        return "a single view overlaps with none"
    shares = overlap(cameras, scene.bounds.near, min(scene.bounds.far, 100 * scene.bounds.near))
    lonely = int((shares < 0.3).sum())
    text = f"{float(shares.median()):.0%} of a view's frustum is seen by another view (median)"
    return text if not lonely else f"{text}; {lonely} views share less than 30 %"


def _counted(values: list[str]) -> str:
    counts = Counter(values)
    if len(counts) == 1:
        return values[0]
    return ", ".join(f"{count} of {value}" for value, count in counts.most_common(4))


def _field_of_view(cameras: Cameras) -> str:
    angles = 2 * torch.atan(cameras.sizes / (2 * cameras.intrinsics[:, :2])) * 180 / math.pi
    low, high = angles.amin(0).tolist(), angles.amax(0).tolist()
    axes = [f"{a:.1f}" if b - a < 0.05 else f"{a:.1f} to {b:.1f}" for a, b in zip(low, high, strict=True)]
    return f"{axes[0]} degrees across, {axes[1]} down"


def _extent(cameras: Cameras) -> list[float]:
    sides: list[float] = (cameras.centres.amax(0) - cameras.centres.amin(0)).tolist()
    return sides


def _baseline(cameras: Cameras) -> float:
    if len(cameras) < 2:
        return 0.0
    distance = torch.cdist(cameras.centres, cameras.centres)
    return float(distance.fill_diagonal_(torch.inf).amin(1).median())

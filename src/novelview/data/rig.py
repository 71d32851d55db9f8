"""A picture of the cameras of a scene: from above, from the front and from the side."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from novelview.cameras.cameras import Cameras
from novelview.data.scene import Scene
from novelview.files import atomic_file

_SIDE, _MARGIN = 420, 44
_TRAIN, _TEST, _BOX, _INK, _PAPER = "#2563eb", "#ea580c", "#9ca3af", "#111827", "#ffffff"
_PSEUDO = "#15803d"
# Of thousands of pseudo cameras, so many are enough to see where they stand; they are so much smaller than real ones.
_MOST, _SMALLER = 400, 0.4
# Panel title, and which scene axes go right and up in it, with their signs.
_PANELS = (("top", 0, 1), ("front", 0, 2), ("side", 1, 2))


def write_rig(path: str | Path, scene: Scene, pseudo: Cameras | None = None) -> None:
    """Draw training (blue) and held-out (orange) cameras and the scene's box as a PNG; axes of the scene frame.

    Args:
        path: of the picture.
        scene: whose cameras are drawn.
        pseudo: cameras that never were, in the scene's frame: small and green, some hundreds of them at most.

    Raises:
        OutputError: the file cannot be written.
    """
    with atomic_file(path) as temporary:
        draw_rig(scene, pseudo).save(temporary, format="PNG")


def draw_rig(scene: Scene, pseudo: Cameras | None = None) -> Image.Image:
    """The picture that :func:`write_rig` writes."""
    picture = Image.new("RGB", (_SIDE * len(_PANELS), _SIDE + 30), _PAPER)
    draw = ImageDraw.Draw(picture)
    length = 0.08 * _span(scene)
    drawn = pseudo[:: math.ceil(len(pseudo) / _MOST)] if pseudo else None
    # Real cameras come last, and so on top.
    layers = [] if drawn is None else [(_frusta(drawn, _SMALLER * length), _PSEUDO)]
    layers += [
        (_frusta(part.cameras, length), colour)
        for part, colour in ((scene.train, _TRAIN), (scene.test, _TEST))
        if len(part)
    ]
    shown = torch.cat([points for points, _ in layers]).reshape(-1, 3)
    if not scene.bounds.unbounded:
        shown = torch.cat([shown, torch.tensor([scene.bounds.box_min, scene.bounds.box_max])])
    centre = (shown.amax(0) + shown.amin(0)) / 2
    zoom = (_SIDE / 2 - _MARGIN) / max(float((shown - centre).abs().max()), 1e-9)
    for panel, (title, right, up) in enumerate(_PANELS):
        middle = torch.tensor([_SIDE * (panel + 0.5), _SIDE / 2])

        def place(points: Tensor, right: int = right, up: int = up, middle: Tensor = middle) -> Tensor:
            flat = (points - centre)[..., [right, up]] * zoom
            return middle + flat * torch.tensor([1.0, -1.0])

        _draw_box(draw, scene, place, right, up)
        for points, colour in layers:
            _draw_frusta(draw, place(points), colour)
        axes = f"{title}: {'xyz'[right]} to the right, {'xyz'[up]} up"
        draw.text((_SIDE * panel + 12, 10), axes, fill=_INK, font=_font())
    counted = f"{len(pseudo)} pseudo cameras, {len(drawn)} drawn" if pseudo and drawn else ""
    _draw_legend(draw, scene, zoom, counted)
    return picture


def _frusta(cameras: Cameras, length: float) -> Tensor:
    """Centre and the four image corners of each camera, ``length`` in front of it (n, 5, 3)."""
    zero = torch.zeros(len(cameras))
    width, height = cameras.sizes.to(torch.float32).unbind(-1)
    corners = torch.stack([zero, zero, width, zero, width, height, zero, height], dim=-1).view(-1, 4, 2)
    local = (corners - cameras.intrinsics[:, None, 2:]) / cameras.intrinsics[:, None, :2] * length
    local = torch.cat([local, torch.full_like(local[..., :1], length)], dim=-1)
    world = torch.einsum("nij,npj->npi", cameras.rotations, local) + cameras.centres[:, None]
    return torch.cat([cameras.centres[:, None], world], dim=1)


def _span(scene: Scene) -> float:
    centres = torch.cat([part.cameras.centres for part in (scene.train, scene.test) if len(part)])
    span = float((centres.amax(0) - centres.amin(0)).max())
    return span if span > 0 else 1.0


def _draw_frusta(draw: ImageDraw.ImageDraw, points: Tensor, colour: str) -> None:
    for centre, a, b, c, d in points.tolist():
        draw.line([*map(tuple, (a, b, c, d, a))], fill=colour, width=1)
        for corner in (a, b, c, d):
            draw.line([tuple(centre), tuple(corner)], fill=colour, width=1)
        x, y = centre
        draw.ellipse((x - 2, y - 2, x + 2, y + 2), fill=colour)


def _draw_box(draw: ImageDraw.ImageDraw, scene: Scene, place: object, right: int, up: int) -> None:
    if scene.bounds.unbounded:
        return
    corners = torch.tensor([scene.bounds.box_min, scene.bounds.box_max])
    (x0, y0), (x1, y1) = place(corners).tolist()  # type: ignore[operator]
    draw.rectangle((min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)), outline=_BOX)


def _draw_legend(draw: ImageDraw.ImageDraw, scene: Scene, zoom: float, pseudo: str) -> None:
    """A scale bar of a round length in the user's units, and what the colours mean."""
    unit = scene.to_input.scale
    longest = 0.25 * _SIDE / zoom * unit
    power = 10 ** math.floor(math.log10(longest))
    bar = max(step * power for step in (1, 2, 5) if step * power <= longest)
    y, x = _SIDE + 8, 14
    draw.line((x, y, x + bar / unit * zoom, y), fill=_INK, width=2)
    texts = (
        (f"{bar:g} units of the capture", _INK),
        (f"{len(scene.train)} training views", _TRAIN),
        (f"{len(scene.test)} held out", _TEST),
        (pseudo, _PSEUDO),
        ("" if scene.bounds.unbounded else "box of the scene", _BOX),
    )
    x += bar / unit * zoom + 10
    for text, colour in texts:
        if text:
            draw.text((x, y - 7), text, fill=colour, font=_font())
            x += draw.textlength(text, font=_font()) + 40


def _font() -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(size=13)

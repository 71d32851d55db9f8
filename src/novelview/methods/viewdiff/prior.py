"""Pictures of the base model, learnt besides views of real subjects so that it is not forgotten (ViewDiff, section 3.3)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from novelview.errors import ConfigError, DataError, OutputError, import_extra
from novelview.files import atomic_file, atomic_write_json
from novelview.methods.viewdiff.projection.cameras import GroupCameras
from novelview.methods.viewdiff.spherical import sphere_poses
from novelview.progress import track

INDEX = "prior.json"
"""Names of the pictures and their captions, when all are there."""
BEGUN = "begun.json"
"""What the folder is being filled with."""
# From where such pictures are said to be seen: distances, polar angles, and focal lengths at 512 pixels.
_RADII, _POLAR, _FOCALS = (2.0, 4.0), (30.0, 90.0), (565.0, 590.0)
_STEPS = 25

Paint = Callable[[str, torch.Generator], Image.Image]
"""A picture of what a caption says."""


@dataclass(frozen=True)
class PriorPictures:
    """Pictures with captions in a folder.

    Attributes:
        folder: holds them.
        entries: name and caption of each.
    """

    folder: Path
    entries: tuple[tuple[str, str], ...]

    @staticmethod
    def read(folder: str | Path) -> PriorPictures:
        """The pictures that :func:`write_prior` left in a folder.

        Raises:
            DataError: there are none, or their index is damaged.
        """
        index = Path(folder) / INDEX
        try:
            entries = tuple((str(name), str(caption)) for name, caption in json.loads(index.read_text()))
        except (OSError, ValueError, TypeError) as error:
            raise DataError(
                "Pictures of the base model cannot be read",
                where=index,
                why=str(error),
                cure="make them with novelview data prior, or leave out learn.prior",
            ) from error
        if not entries:
            raise DataError(
                "There are no pictures of the base model",
                where=index,
                cure="make some with novelview data prior",
            )
        return PriorPictures(Path(folder), entries)

    def drawn(self, chance: Float[Tensor, " k"], size: int) -> tuple[Float[Tensor, "k 1 3 s s"], list[str]]:
        """Some pictures at ``size`` pixels, in [-1, 1], and their captions.

        Args:
            chance: in [0, 1); says which.
            size: width and height.

        Raises:
            DataError: one is missing or damaged.
        """
        chosen = [self.entries[int(share * len(self.entries))] for share in chance.tolist()]
        pictures = torch.stack([_picture(self.folder / name, size) for name, _ in chosen])
        return pictures[:, None], [caption for _, caption in chosen]


def prior_cameras(chance: Float[Tensor, "k 4"], size: int) -> GroupCameras:
    """Cameras that single pictures are said to be seen by, which nobody knows: random ones around the subject.

    Args:
        chance: in [0, 1); radius, polar angle, azimuth and focal length of each.
        size: of the pictures, pixels.
    """
    radius, polar, azimuth, focal = chance.unbind(-1)
    spans = ((radius, _RADII), (polar, _POLAR), (focal, _FOCALS))
    away, down, length = (low + (high - low) * share for share, (low, high) in spans)
    poses = [
        sphere_poses([360 * float(a)], float(p), float(r))
        for a, p, r in zip(azimuth, down, away, strict=True)
    ]
    intrinsics = torch.zeros(len(chance), 1, 3, 3)
    intrinsics[..., 0, 0] = intrinsics[..., 1, 1] = (length * size / 512)[:, None]
    intrinsics[..., :2, 2] = (size - 1) / 2
    intrinsics[..., 2, 2] = 1
    box = torch.tensor([[-1.0] * 3, [1.0] * 3]).expand(len(chance), 2, 3)
    return GroupCameras(torch.stack(poses), intrinsics, size, size, box)


def write_prior(
    folder: Path,
    captions: Sequence[str],
    paint: Paint,
    generator_of: Callable[[int], torch.Generator],
    *,
    each: int = 2,
    size: int = 256,
    settings: Mapping[str, Any] = MappingProxyType({}),
) -> int:
    """Make pictures of captions; those that are there already stay, so that it can be called again after a stop.

    Args:
        folder: where to.
        captions: what to paint.
        paint: how.
        generator_of: the randomness of picture number i.
        each: pictures of each caption.
        size: that they are kept at, pixels.
        settings: all that else decides about the pictures, JSON; a folder that was begun with others is refused.

    Returns:
        How many are new.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [(f"{i:06d}.png", caption) for i, caption in enumerate(c for c in captions for _ in range(each))]
    begun = _begun(folder, wanted, settings)
    # Pictures of captions that are no longer wanted stay in the folder, and must stay known.
    atomic_write_json(folder / BEGUN, {"settings": dict(settings), "entries": max(begun, wanted, key=len)})
    new = 0
    for i, (name, caption) in track(enumerate(wanted), len(wanted), f"painting {folder.name}"):
        if not (folder / name).is_file():
            picture = (
                paint(caption, generator_of(i)).convert("RGB").resize((size, size), Image.Resampling.BOX)
            )
            with atomic_file(folder / name) as temporary:
                picture.save(temporary, format="PNG")
            new += 1
    atomic_write_json(folder / INDEX, wanted)
    return new


def _begun(
    folder: Path, wanted: Sequence[tuple[str, str]], settings: Mapping[str, Any]
) -> list[tuple[str, str]]:
    """What the folder was begun with, which has to be of the same captions and settings."""
    if not (folder / BEGUN).is_file():
        return []
    try:
        begun = json.loads((folder / BEGUN).read_text())
        entries = [(name, caption) for name, caption in begun["entries"]]
        same = begun["settings"] == dict(settings)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DataError(
            "What a folder of pictures was begun with cannot be read",
            where=folder / BEGUN,
            why=str(error),
            cure="delete the folder, or name another",
        ) from error
    if entries[: len(wanted)] != list(wanted)[: len(entries)] or not same:
        raise OutputError(
            "This folder holds pictures of other captions or settings",
            where=folder,
            why=f"it was begun with {begun['settings']}",
            cure="name another folder",
        )
    return entries


def base_painter(base: str, device: str, *, side: int = 512, guidance: float = 7.5) -> Paint:
    """The base model as it is, by DPM-Solver++.

    Args:
        base: a folder in diffusers' layout, or a hub id.
        device: where it runs.
        side: of its pictures, pixels.
        guidance: how strongly it follows words.
    """
    diffusers = import_extra("diffusers", "diffusion")
    try:
        pipeline: Any = diffusers.StableDiffusionPipeline.from_pretrained(
            base, safety_checker=None, requires_safety_checker=False
        ).to(device)
    except (OSError, ValueError) as error:
        raise ConfigError(
            "The base model cannot be loaded",
            where=base,
            why=str(error).splitlines()[0],
            cure="name a folder in diffusers' layout, or the id of a model on the Hugging Face hub that can be reached",
        ) from error
    pipeline.scheduler = diffusers.DPMSolverMultistepScheduler.from_config(pipeline.scheduler.config)
    pipeline.set_progress_bar_config(disable=True)

    def paint(caption: str, generator: torch.Generator) -> Image.Image:
        made = pipeline(
            caption,
            height=side,
            width=side,
            num_inference_steps=_STEPS,
            guidance_scale=guidance,
            generator=generator,
        )
        picture: Image.Image = made.images[0]
        return picture

    return paint


def _picture(path: Path, size: int) -> Float[Tensor, "3 s s"]:
    try:
        with Image.open(path) as file:
            stored = file.convert("RGB").resize((size, size), Image.Resampling.BOX)
    except (OSError, ValueError) as error:
        raise DataError(
            "A picture of the base model cannot be read",
            where=path,
            why=str(error),
            cure="delete it and run novelview data prior again",
        ) from error
    return torch.from_numpy(np.array(stored)).movedim(-1, 0).float() / 127.5 - 1

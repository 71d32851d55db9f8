"""Masks that no file names: in a folder of their own, called like the images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from novelview.data.capture import ImageFiles
from novelview.data.formats.paths import Folder, listed

FOLDERS = ("masks", "mask")


def masks_beside(
    path: Path, images: Path, files: Sequence[ImageFiles]
) -> tuple[tuple[ImageFiles, ...], list[str]]:
    """The files with the masks found, and a note on them.

    Looked for where no view has a mask: in ``masks`` or ``mask`` beside the folder of the images, or inside it where that
    is the capture's own. The mask of ``a/b.jpg`` is ``a/b.png``, of any kind of image, or COLMAP's ``a/b.jpg.png``. Masks of
    only some images are left out: the others would pass for views that the object fills.

    Args:
        path: the capture's folder or file.
        images: the deepest folder that holds all images.
        files: of every view.

    Raises:
        DataError: a mask is a link that leaves its folder.
    """
    root = (path.parent if path.is_file() else path).resolve()
    parent = images if images.resolve() == root else images.parent
    folder = next((parent / name for name in FOLDERS if (parent / name).is_dir()), None)
    if folder is None or any(each.mask for each in files):
        return tuple(files), []
    inside = Folder(folder)
    names = [each.image.relative_to(images) for each in files]
    found = [_mask(inside, name) for name in names]
    missing = [name.as_posix() for name, mask in zip(names, found, strict=True) if mask is None]
    if missing:
        what = f"{len(missing)} of {len(files)} images have no mask of their name in it: {listed(missing)}"
        return tuple(files), [f"The folder {folder.name!r} was left out: {what}."]
    masked = tuple(replace(each, mask=mask) for each, mask in zip(files, found, strict=True))
    return masked, [f"Masks are those of the folder {folder.name!r}."]


def _mask(folder: Folder, name: Path) -> Path | None:
    named_in = folder.root
    return folder.find(f"{name.as_posix()}.png", named_in) or folder.find(
        name.with_suffix("").as_posix(), named_in
    )

"""Renderings of ShapeNet as DVR's authors hand them out: ``<class>/<object>/``, and a list of objects per class and split.

The lists beside the objects, ``train.lst``, ``val.lst`` and ``test.lst``, are those of Choy et al. (3D-R2N2, ECCV 2016);
those that begin with ``softras_`` are of Kato et al. (NMR, CVPR 2018). Each object is a capture of the format ``dvr``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from novelview.data.formats.paths import photographs
from novelview.data.scene import Scene
from novelview.data.scene_list import SceneList, read_scene_list
from novelview.errors import DataError

_SHOWN = "img_choy2016"
_LISTS = ("softras_{}.lst", "{}.lst")  # Where a class has both, its images are NMR's.


def read_split(path: str | Path, split: str, **options: Any) -> SceneList:
    """The objects of one split, of all classes in the order of their names; none is opened.

    Args:
        path: folder of the data set, or of one class of it.
        split: "train", "val" or "test".
        options: how each object is read, see :func:`~novelview.data.open.open_scene`; unless they say otherwise, no view is
            held out.

    Raises:
        DataError: there is no such list, or one cannot be read, names nothing or begins with an object that is not there.
    """
    path = Path(path)
    lists = [found for folder in (path, *_folders(path)) if (found := _list_of(folder, split)) is not None]
    if not lists:
        names = " or ".join(repr(name.format(split)) for name in _LISTS)
        raise DataError(
            f"There is no list of objects for the split {split!r}",
            where=path,
            why=f"looked for {names} in it and in its folders",
            cure="name the data set's folder, or one of its classes, and the split train, val or test",
        )
    captures = [capture for found in lists for capture in read_scene_list(found).captures]
    return SceneList(path, tuple(captures), {"split": "none", **options})


def shown_pictures(scene: Scene) -> list[Path]:
    """Choy et al.'s pictures of an object, which a network is shown in place of the views; none where there are no such."""
    origin = scene.origin
    return photographs(Path(origin["path"]) / _SHOWN) if origin.get("format") == "dvr" else []


def _folders(path: Path) -> list[Path]:
    return sorted(entry for entry in path.iterdir() if entry.is_dir()) if path.is_dir() else []


def _list_of(folder: Path, split: str) -> Path | None:
    return next((file for name in _LISTS if (file := folder / name.format(split)).is_file()), None)

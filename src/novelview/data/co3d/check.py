"""Whether a prepared sequence is what it should be: every file there and readable, every camera in its place."""

from __future__ import annotations

from pathlib import Path

import torch

from novelview.data.captions import captions_beside
from novelview.data.capture import Capture
from novelview.data.co3d.colours import intensity
from novelview.data.decode import read_image, read_mask
from novelview.data.formats import read_capture
from novelview.errors import DataError
from novelview.fields import Fields, read_json_object

TRANSFORMS = "transforms.json"
_CURE = "delete this folder, and prepare the data set again"
_OTHER_DECODER = 0.01  # Decoders of JPEG differ by less, damage by more.


def check_sequence(folder: Path) -> None:
    """Read all of a prepared sequence.

    Raises:
        DataError: the first thing that is wrong: a file is missing or cannot be decoded, a camera is impossible or does not
            fit its image, does not see the middle of the box or stands in it, colours are not those that were written.
    """
    capture = read_capture(folder, format="transforms")
    entries = list(read_json_object(folder / TRANSFORMS, DataError).objects("frames"))
    captions_beside(folder)
    if len(entries) != len(capture.names):
        raise _fault(folder, f"{len(entries) - len(capture.names)} images are missing")
    _check_cameras(capture)
    for i, entry in enumerate(entries):
        _check_pixels(capture, i, entry)


def _check_cameras(capture: Capture) -> None:
    if capture.box is None:
        raise _fault(capture.path, "it states no box")
    lower, upper = capture.box
    offsets = (lower + upper) / 2 - capture.cameras.centres
    behind = (offsets * capture.cameras.forward).sum(dim=-1) <= 0
    inside = ((capture.cameras.centres > lower) & (capture.cameras.centres < upper)).all(dim=-1)
    for faulty, why in ((behind, "looks away from the box"), (inside, "stands in the box")):
        if bool(faulty.any()):
            name = capture.names[int(faulty.int().argmax())]
            raise _fault(capture.path, f"the camera of {name} {why}")


def _check_pixels(capture: Capture, index: int, entry: Fields) -> None:
    files, (width, height) = capture.files[index], capture.cameras.sizes[index].tolist()
    image = read_image(files.image)
    read = (
        {files.image: image}
        if files.mask is None
        else {files.image: image, files.mask: read_mask(files.mask)}
    )
    for file, pixels in read.items():
        if pixels.shape[:2] != (height, width):
            raise _fault(file, f"it is {pixels.shape[1]}x{pixels.shape[0]}, its camera {width}x{height}")
    stated = _stated_intensity(entry)
    if stated is not None and (stated - torch.tensor(intensity(image))).abs().max() > _OTHER_DECODER:
        raise _fault(files.image, "its colours are not those that were written")


def _stated_intensity(entry: Fields) -> torch.Tensor | None:
    facts = entry.values.get("novelview")
    if not isinstance(facts, dict):
        return None
    own = Fields(facts, entry.path, DataError, f"{entry.label}.novelview")
    mean, variance = own.number("intensity_mean"), own.number("intensity_variance")
    return None if mean is None or variance is None else torch.tensor([mean, variance])


def _fault(place: Path, why: str) -> DataError:
    return DataError("A prepared sequence is damaged", where=place, why=why, cure=_CURE)

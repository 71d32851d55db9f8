"""One sequence of CO3D as it lies on disk: its usable frames in the common frame, and its object's box."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from novelview.cameras.cameras import Cameras
from novelview.data.co3d.annotations import FRAMES, SEQUENCES, FrameRecord, SequenceRecord
from novelview.data.co3d.recentre import Recentring, recentring
from novelview.data.formats.paths import Folder
from novelview.data.formats.ply import read_points
from novelview.errors import DataError

FEWEST_FRAMES = 5  # ViewDiff learns from groups of five.


@dataclass(frozen=True)
class UsableFrame:
    """A frame whose files are there and whose camera sees the object.

    Attributes:
        number: of the frame in its sequence.
        camera: in the common frame and double precision, of the size that the annotations state.
        image: the photograph.
        mask: where there is one.
    """

    number: int
    camera: Cameras
    image: Path
    mask: Path | None


@dataclass(frozen=True)
class PosedSequence:
    """A sequence in the common frame.

    Attributes:
        record: what the annotations say of it.
        frames: at least :data:`FEWEST_FRAMES`, or as many as were asked for if that is less.
        recentring: the common frame.
        left_out: how many frames were left out, by the reason.
    """

    record: SequenceRecord
    frames: tuple[UsableFrame, ...]
    recentring: Recentring
    left_out: Counter[str]


class SequenceFiles:
    """The files of a category's sequences.

    Args:
        category: its folder; annotations name files relative to the folder above.
    """

    def __init__(self, category: Path) -> None:
        self._category, self._folder = category, Folder(category)

    def pose(
        self,
        record: SequenceRecord,
        frames: Sequence[FrameRecord],
        *,
        masked: bool,
        count: int | None,
        outliers: float,
    ) -> PosedSequence:
        """The sequence in the common frame.

        Args:
            record: what the annotations say of it.
            frames: its frames, in order.
            masked: leave out frames without a mask; else only where most have one.
            count: use no more frames than these, evenly spaced; None: all.
            outliers: share of the point cloud outside the box, on each side.

        Raises:
            DataError: it is not on this disk, or its point cloud is damaged, or hardly any frame can be used.
        """
        points = torch.from_numpy(read_points(self._cloud(record)))
        left_out = Counter[str]()
        found = [self._frame(frame, masked, left_out) for frame in frames]
        usable = _alike([frame for frame in found if frame is not None], left_out)
        fewest = min(FEWEST_FRAMES, count or FEWEST_FRAMES)
        if len(usable) < max(2, fewest):
            raise self._too_few(record, len(usable), left_out)
        cameras = Cameras.concatenate([frame.camera for frame in usable])
        centred = recentring(cameras, points, outliers)
        moved = cameras.moved(centred.motion)
        # The origin is the middle of the object.
        in_front = (moved.forward * -moved.centres).sum(dim=-1) > 0
        outside = (moved.centres.abs() > centred.box[1]).any(dim=-1)
        kept = torch.nonzero(in_front & outside)[:, 0].tolist()
        left_out["its camera stands in the object or looks away from it"] = len(usable) - len(kept)
        if len(kept) < fewest:
            raise self._too_few(record, len(kept), left_out)
        chosen = [kept[i] for i in _evenly(len(kept), count)]
        posed = [UsableFrame(usable[i].number, moved[i], usable[i].image, usable[i].mask) for i in chosen]
        return PosedSequence(record, tuple(posed), centred, +left_out)

    def _cloud(self, record: SequenceRecord) -> Path:
        if not (self._category / record.name).is_dir():
            raise DataError("It is not on this disk", where=self._category / record.name)
        found = None if record.cloud is None else self._find(record.cloud, SEQUENCES)
        if found is None:
            raise DataError(
                "It has no point cloud", where=self._category / record.name, why=f"there is no {record.cloud}"
            )
        return found

    def _frame(self, frame: FrameRecord, masked: bool, left_out: Counter[str]) -> UsableFrame | None:
        camera, image = frame.camera(), self._find(frame.image, FRAMES)
        mask = None if frame.mask is None else self._find(frame.mask, FRAMES)
        if camera is None or image is None or (masked and mask is None):
            missing = "image" if image is None else "mask"
            left_out["its camera is impossible" if camera is None else f"its {missing} is missing"] += 1
            return None
        return UsableFrame(frame.number, camera, image, mask)

    def _find(self, text: str, named_in: str) -> Path | None:
        """A file that annotations name; a category's folder may be a link to another disk."""
        inside = text.replace("\\", "/").removeprefix(f"{self._category.name}/")
        return self._folder.find(inside, self._category / named_in)

    def _too_few(self, record: SequenceRecord, left: int, left_out: Counter[str]) -> DataError:
        reasons = "; ".join(f"of {count} {reason}" for reason, count in left_out.items() if count)
        return DataError(
            "Hardly any of its frames can be used",
            where=self._category / record.name,
            why=f"{left} are left" + (f": {reasons}" if reasons else ""),
        )


def _alike(frames: Sequence[UsableFrame], left_out: Counter[str]) -> list[UsableFrame]:
    """Frames that all have a mask, where most do: a capture has masks of all its views or of none."""
    masked = [frame for frame in frames if frame.mask is not None]
    if 2 * len(masked) <= len(frames):
        return list(frames)
    left_out["its mask is missing"] += len(frames) - len(masked)
    return masked


def _evenly(count: int, wanted: int | None) -> list[int]:
    """Places of evenly spaced items."""
    if wanted is None or wanted >= count:
        return list(range(count))
    return [i * count // wanted for i in range(wanted)]

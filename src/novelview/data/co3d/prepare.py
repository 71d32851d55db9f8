"""CO3Dv2 as training data: every sequence that can be used as a capture of its own, and a list of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from novelview.data.captions import FILE as CAPTIONS
from novelview.data.captions import plain_caption
from novelview.data.co3d.annotations import (
    FRAMES,
    FrameRecord,
    SequenceRecord,
    categories_of,
    read_frames,
    read_sequences,
    read_set,
)
from novelview.data.co3d.check import TRANSFORMS, check_sequence
from novelview.data.co3d.options import Choice, Manner, check_manner
from novelview.data.co3d.sequence import SequenceFiles
from novelview.data.co3d.write import write_sequence
from novelview.data.formats.paths import listed, readable
from novelview.errors import ConfigError, DataError
from novelview.files import atomic_write_text
from novelview.progress import track

LIST = "scenes.txt"

Captions = Mapping[str, Mapping[str, tuple[str, ...]]]


@dataclass(frozen=True)
class Skipped:
    """A sequence that was not prepared.

    Attributes:
        name: category and sequence.
        reason: one for many sequences.
        detail: what it is about this one.
    """

    name: str
    reason: str
    detail: str = ""


@dataclass
class Prepared:
    """What became of a data set.

    Attributes:
        scenes: text file that names all sequences of the folder, for ``novelview train --more``.
        written: how many sequences were written.
        present: how many were there already.
        skipped: those that were not prepared, besides those beyond the number asked for.
        frames_left_out: how many frames of the sequences written were left out, by the reason.
        tilted: sequences whose cameras stand in no level plane, so that their own up had to tell what is up.
        unnamed: sequences that captions were given for others but not for them.
        unused: sequences that captions were given for and that are not among those prepared.
    """

    scenes: Path
    written: int = 0
    present: int = 0
    skipped: list[Skipped] = field(default_factory=list)
    frames_left_out: Counter[str] = field(default_factory=Counter)
    tilted: list[str] = field(default_factory=list)
    unnamed: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)

    def notes(self) -> list[str]:
        """What was skipped or left out and why, one sentence for each reason."""
        reasons: dict[str, list[Skipped]] = {}
        for each in self.skipped:
            reasons.setdefault(each.reason, []).append(each)
        notes = [
            f"{len(found)} sequences were skipped. {reason}: {listed([each.name for each in found])}."
            + (f" The first: {found[0].detail}." if found[0].detail else "")
            for reason, found in reasons.items()
        ]
        notes += [
            f"{count} frames were left out, of each: {reason}."
            for reason, count in self.frames_left_out.items()
        ]
        if self.tilted:
            notes.append(f"What is up was told by how the cameras are held in {listed(self.tilted)}.")
        if self.unnamed:
            notes.append(
                f"{len(self.unnamed)} sequences are not in the file of captions: {listed(self.unnamed)}."
            )
        if self.unused:
            notes.append(
                f"{len(self.unused)} sequences have captions but are not prepared: {listed(self.unused)}."
            )
        return notes


def prepare_co3d(
    root: Path,
    out: Path,
    choice: Choice | None = None,
    manner: Manner | None = None,
    captions: Captions | None = None,
) -> Prepared:
    """Write the sequences of a CO3Dv2 data set as captures ``out/CATEGORY/SEQUENCE``, and the list ``out/scenes.txt``.

    Sequences that are there already are left alone, but for captions that are new, so that what was interrupted goes on
    where it stopped. What cannot be used is skipped and told.

    Args:
        root: folder with one folder per category, or one of these.
        out: folder to write.
        choice: which sequences.
        manner: how.
        captions: by category and sequence; sequences without any get "a CATEGORY".

    Raises:
        DataError: there is no such data set, its annotations are damaged, or none of its sequences can be used.
        ConfigError: a category is not there, or ``out`` holds sequences of another manner.
        OutputError: the folder cannot be written.
    """
    choice, manner, captions = choice or Choice(), manner or Manner(), captions or {}
    root, categories = _categories(root, choice)
    check_manner(out, manner, empty=not prepared_names(out))
    done = Prepared(out / LIST)
    for category in categories:
        _Category(root / category, out / category, manner, captions.get(category, {})).prepare(choice, done)
        atomic_write_text(done.scenes, "".join(f"{name}\n" for name in prepared_names(out)))
    if not done.written + done.present:
        first = done.skipped[0] if done.skipped else Skipped(str(root), "no sequence is annotated")
        raise DataError(
            "No sequence could be prepared",
            where=root,
            why=f"{len(done.skipped)} were skipped, the first, {first.name}: {first.reason} {first.detail}".rstrip(),
            cure="see what was downloaded, and ask for less quality",
        )
    if captions:
        told = {f"{category}/{name}" for category, part in captions.items() for name in part}
        there = prepared_names(out)
        done.unnamed += [name for name in there if name not in told]
        done.unused += sorted(told.difference(there))
    return done


def prepared_names(out: Path) -> list[str]:
    """The sequences that are prepared in a folder, as ``CATEGORY/SEQUENCE``, sorted."""
    files = out.glob(f"*/*/{TRANSFORMS}")
    return sorted(
        f"{file.parent.parent.name}/{file.parent.name}"
        for file in files
        if not file.parent.name.startswith(".")
    )


def check_prepared(out: Path) -> dict[str, DataError]:
    """What is wrong with the sequences that are prepared in a folder, by name; reads every file.

    Raises:
        DataError: there are none.
    """
    names, faults = prepared_names(out), dict[str, DataError]()
    if not names:
        raise DataError(
            "There is no prepared sequence here", where=out, cure="prepare some, or check the path"
        )
    for name in track(names, len(names), "checking"):
        try:
            check_sequence(out / name)
        except DataError as error:
            faults[name] = error
    return faults


class _Category:
    """One category on its way from ``source`` to ``out``."""

    def __init__(
        self, source: Path, out: Path, manner: Manner, captions: Mapping[str, tuple[str, ...]]
    ) -> None:
        self._source, self._out, self._manner, self._captions = source, out, manner, captions
        self._files = SequenceFiles(source)

    def prepare(self, choice: Choice, done: Prepared) -> None:
        """Prepare sequences until there are as many as asked for, and note in ``done`` what became of them."""
        records = self._usable(choice, done)
        listed = read_set(self._source, *choice.subset) if choice.subset else None
        if listed is not None:
            records = [record for record in records if record.name in listed]
        frames = read_frames(self._source, [record.name for record in records])
        most = len(records) if choice.sequences is None else choice.sequences
        ready = 0
        for record in track(records, len(records), self._source.name):
            if ready >= most:
                break
            own = frames.pop(record.name)
            if listed is not None:
                own = [frame for frame in own if frame.number in listed[record.name]]
            ready += self._one(record, own, done)

    def _usable(self, choice: Choice, done: Prepared) -> list[SequenceRecord]:
        """The sequences with a point cloud and good enough scores."""
        usable = []
        for record in read_sequences(self._source):
            wanting = None if record.cloud else "It has no point cloud"
            for least, score, what in (
                (choice.quality, record.viewpoint_quality, "Its cameras are not good enough"),
                (choice.cloud_quality, record.cloud_quality, "Its point cloud is not good enough"),
            ):
                if wanting is None and least is not None and (score is None or score < least):
                    wanting = what
            if wanting is None:
                usable.append(record)
            else:
                done.skipped.append(Skipped(self._name(record), wanting))
        return usable

    def _one(self, record: SequenceRecord, frames: Sequence[FrameRecord], done: Prepared) -> bool:
        """Prepare one sequence; whether it is there now."""
        folder, captions = self._out / record.name, self._captions.get(record.name)
        if (folder / TRANSFORMS).exists():
            _renew_captions(folder / CAPTIONS, captions)
            done.present += 1
            return True
        try:
            sequence = self._files.pose(
                record,
                frames,
                masked=self._manner.pictures.crop == "foreground",
                count=self._manner.frames,
                outliers=self._manner.outliers,
            )
            category = self._source.name
            write_sequence(
                sequence, category, folder, self._manner.pictures, captions or (plain_caption(category),)
            )
        except DataError as error:
            done.skipped.append(Skipped(self._name(record), error.what, _detail(error)))
            return False
        done.written += 1
        done.frames_left_out += sequence.left_out
        done.tilted += [] if sequence.recentring.level else [self._name(record)]
        return True

    def _name(self, record: SequenceRecord) -> str:
        return f"{self._source.name}/{record.name}"


def _detail(error: DataError) -> str:
    return ": ".join(readable(str(part)) for part in (error.where, error.why) if part)


def _renew_captions(file: Path, captions: Sequence[str] | None) -> None:
    """Replace captions by those that came since, and never by none."""
    if captions:
        text = json.dumps(list(captions), indent=2) + "\n"
        if not file.exists() or file.read_bytes() != text.encode():
            atomic_write_text(file, text)


def _categories(root: Path, choice: Choice) -> tuple[Path, list[str]]:
    """The data set's folder and the categories chosen; ``root`` may be the folder of a category itself."""
    root = root.absolute()  # Links stay: a category may lie on another disk.
    alone = (root / FRAMES).is_file()
    there = [root.name] if alone else categories_of(root)
    root = root.parent if alone else root
    missing = sorted(set(choice.categories or ()) - set(there))
    if missing:
        raise ConfigError(
            f"The data set has no category {', '.join(missing)}",
            where=root,
            cure=f"choose among: {', '.join(there)}",
        )
    return root, [name for name in there if choice.categories is None or name in choice.categories]

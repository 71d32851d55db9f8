"""Files appear whole or not at all, and a failure says which file, why and what to do."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from novelview.errors import OutputError
from novelview.files import (
    atomic_file,
    atomic_folder,
    atomic_write_bytes,
    atomic_write_json,
    atomic_write_text,
    output_errors,
)


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_writes_make_parents_and_replace(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file.txt"
    atomic_write_text(path, "ä")
    atomic_write_bytes(path, b"second")
    assert path.read_bytes() == b"second"
    atomic_write_json(path, {"x": [1, None]})
    assert json.loads(path.read_text()) == {"x": [1, None]}
    assert names(path.parent) == ["file.txt"]


def test_json_refuses_what_json_has_not(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        atomic_write_json(tmp_path / "a.json", {"far": float("inf")})
    assert names(tmp_path) == []


def test_file_failure_keeps_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "movie.mp4"
    path.write_text("old")

    def fail() -> None:
        with atomic_file(path) as temporary:
            assert temporary.suffix == ".mp4"
            assert temporary.parent == path.parent
            temporary.write_text("half")
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OutputError, match=r"movie\.mp4") as caught:
        fail()
    assert caught.value.why == "the disk is full"
    assert path.read_text() == "old"
    assert names(tmp_path) == ["movie.mp4"]


def test_other_exceptions_pass_and_clean_up(tmp_path: Path) -> None:
    with pytest.raises(KeyError), atomic_folder(tmp_path / "out") as temporary:
        _ = {}[temporary]
    assert names(tmp_path) == []


def test_file_where_a_folder_or_device_is(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="not a file"):
        atomic_write_text(tmp_path, "x")
    with pytest.raises(OutputError, match="not a file"):
        atomic_write_text("/dev/null", "x")


def test_parent_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="Cannot write"):
        atomic_write_text(tmp_path / "file" / "inside", "x")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="permission denied"):
        atomic_write_text(tmp_path / "x", "x")


def test_folder_appears_whole(tmp_path: Path) -> None:
    with atomic_folder(tmp_path / "deep" / "out") as temporary:
        (temporary / "sub").mkdir()
        (temporary / "sub" / "x").write_text("x")
        assert not (tmp_path / "deep" / "out").exists()
    assert (tmp_path / "deep" / "out" / "sub" / "x").read_text() == "x"
    assert names(tmp_path / "deep") == ["out"]


def test_folder_needs_leave_to_overwrite(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with atomic_folder(out) as temporary:  # empty: fine
        (temporary / "old").write_text("")
    with pytest.raises(OutputError, match="not empty"), atomic_folder(out) as temporary:
        pass
    with atomic_folder(out, overwrite=True) as temporary:
        (temporary / "new").write_text("")
    assert names(out) == ["new"]
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize("name", [".", ".."])
def test_no_folder_takes_the_place_of_the_one_it_is_called_from(name: str) -> None:
    with (
        pytest.raises(OutputError, match="this folder or one around it"),
        atomic_folder(name, overwrite=True),
    ):
        pass


def test_folder_failure_keeps_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "old").write_text("")
    rename = os.rename

    def refuse(source: Path, target: Path) -> None:
        if (Path(source) / "new").exists():
            raise OSError(errno.EROFS, "Read-only file system")
        rename(source, target)

    monkeypatch.setattr(os, "rename", refuse)
    with (
        pytest.raises(OutputError, match="read-only"),
        atomic_folder(out, overwrite=True) as temporary,
    ):
        (temporary / "new").write_text("")
    assert names(out) == ["old"]
    assert names(tmp_path) == ["out"]


def test_unknown_reason_is_passed_on() -> None:
    with pytest.raises(OutputError, match="odd"), output_errors("x"):
        raise OSError(12345, "odd")

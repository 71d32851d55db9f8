"""The files of onnxruntime-web that a page needs. They are fetched with the user's npm, not kept in this package."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from novelview.errors import MissingDependencyError
from novelview.files import atomic_folder

PACKAGE, VERSION = "onnxruntime-web", "1.30.0"
# One build for WebGPU and WebAssembly: the smallest set that has both.
FILES = (
    "ort.webgpu.min.mjs",
    "ort-wasm-simd-threaded.asyncify.mjs",
    "ort-wasm-simd-threaded.asyncify.wasm",
)
_PATIENCE = 600
_CURE = (
    f"run `npm pack {PACKAGE}@{VERSION}` where there is npm and a network, unpack the archive, and name its folder "
    "package/dist with --runtime"
)


def runtime_folder(given: Path | None) -> Path:
    """A folder that has ``FILES``: the given one, or one of the user's cache, which npm fills where it is empty.

    Raises:
        MissingDependencyError: a file is not in the given folder; or there is no npm, or it cannot fetch the package.
        OutputError: the cache cannot be written.
    """
    if given is not None:
        missing = _missing(given)
        if missing:
            raise MissingDependencyError(
                f"There is no {missing[0]} of {PACKAGE}",
                where=given,
                cure=f"name the folder dist of {PACKAGE}",
            )
        return given
    cached = _cache() / "novelview" / f"{PACKAGE}-{VERSION}"
    if _missing(cached):
        with tempfile.TemporaryDirectory() as folder, atomic_folder(cached, overwrite=True) as temporary:
            _unpack(_fetch(Path(folder)), temporary)
    return cached


def _missing(folder: Path) -> list[str]:
    return [name for name in FILES if not (folder / name).is_file()]


def _cache() -> Path:
    stated = os.environ.get("XDG_CACHE_HOME", "")
    # The specification has relative paths ignored.
    return Path(stated) if os.path.isabs(stated) else Path.home() / ".cache"


def _fetch(folder: Path) -> Path:
    """The package as npm's archive."""
    npm = shutil.which("npm")
    if npm is None:
        raise MissingDependencyError(
            f"The page needs files of {PACKAGE}", why="there is no npm here to fetch them", cure=_CURE
        )
    command = [npm, "pack", f"{PACKAGE}@{VERSION}", "--ignore-scripts"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_PATIENCE)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MissingDependencyError(f"npm cannot fetch {PACKAGE}", why=str(error), cure=_CURE) from error
    found = list(folder.glob("*.tgz"))
    if done.returncode or len(found) != 1:
        why = (done.stderr.strip().splitlines() or ["it gave no archive"])[-1]
        raise MissingDependencyError(f"npm cannot fetch {PACKAGE} {VERSION}", why=why, cure=_CURE)
    return found[0]


def _unpack(archive: Path, folder: Path) -> None:
    """Take ``FILES``, and nothing else, out of an archive; names in it decide nothing about where files go."""
    try:
        with tarfile.open(archive) as package:
            for name in FILES:
                source = package.extractfile(f"package/dist/{name}")
                if source is None:
                    raise KeyError(f"{name} is no file")
                with source, (folder / name).open("wb") as target:
                    shutil.copyfileobj(source, target)
    except (KeyError, tarfile.TarError, EOFError) as error:
        raise MissingDependencyError(
            f"This is no package {PACKAGE} {VERSION}", where=archive.name, why=str(error), cure=_CURE
        ) from error

"""Whatever a checkpoint asks to be run, it is refused, and nothing runs."""

from __future__ import annotations

import argparse
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from official_files import NEW, SMALL, made, message, pickled_network, same, saved
from torch import nn

from novelview.methods.r2l.checkpoint import NETWORK, load_official


class Hostile:
    """Unpickled by the standard library, it calls something."""

    def __init__(self, call: Callable[..., Any], *arguments: Any) -> None:
        self.call, self.arguments = call, arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.call, self.arguments


def attacks(target: Path) -> list[Hostile]:
    return [
        Hostile(os.system, f"touch {target}"),
        Hostile(eval, f"open({str(target)!r}, 'w')"),
        Hostile(os.mkdir, str(target)),
        Hostile(getattr, "text", "upper"),
        Hostile(nn.Conv2d, 1, 1, 1),
        # Classes that are allowed, with arguments for their constructors.
        Hostile(argparse.Namespace, "argument"),
        Hostile(nn.Linear, 2, 2),
    ]


@pytest.mark.parametrize("attack", range(7))
@pytest.mark.parametrize("place", ["beside", "inside", "options"])
@pytest.mark.parametrize("zipped", [True, False])
def test_a_hostile_file_is_refused_and_nothing_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attack: int, place: str, zipped: bool
) -> None:
    target = tmp_path / "pwned"
    hostile = attacks(target)[attack]
    values = made()[1]
    network = pickled_network(monkeypatch, SMALL, NEW)
    if place == "beside":
        values["extra"] = hostile
    elif place == "inside":
        network._modules["head"] = hostile
    else:
        network.args.n_sample_per_ray = hostile
    values[NETWORK] = network
    message(saved(values, tmp_path, zipped))
    assert not target.exists()


def with_pickle(folder: Path, code: bytes) -> Path:
    """A checkpoint file whose pickle is ``code``."""
    path, whole = folder / "crafted.tar", saved({"a": torch.zeros(1)}, folder)
    with zipfile.ZipFile(whole) as before, zipfile.ZipFile(path, "w") as after:
        for name in before.namelist():
            after.writestr(name, code if name.endswith("/data.pkl") else before.read(name))
    return path


NAMESPACE, STATE = b"cargparse\nNamespace\n", b"}X\x01\x00\x00\x00aK\x01s"


@pytest.mark.parametrize(
    "code",
    [
        # BUILD on the class itself, NEWOBJ with an argument, a state that is no dictionary, and one in two halves,
        # of which the second would be set attribute by attribute.
        NAMESPACE + STATE + b"b.",
        NAMESPACE + b"K\x01\x85\x81.",
        NAMESPACE + b")\x81K\x07b.",
        NAMESPACE + b")\x81N" + STATE + b"\x86b.",
        # Attributes of an allowed name, and names that only begin like one.
        b"cargparse\nNamespace.__init__\n)R.",
        b"cargparse\nArgumentParser\n)R.",
        b"cmodel.nerf_raybased\nos\n)R.",
        b"cos\nsystem\nX\x02\x00\x00\x00ls\x85R.",
    ],
)
def test_crafted_pickles_are_refused(tmp_path: Path, code: bytes) -> None:
    message(with_pickle(tmp_path, b"\x80\x02" + code))


def test_a_state_with_special_names_does_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    method, values = made()
    network = pickled_network(monkeypatch, SMALL, NEW)
    names = ("__class__", "__setstate__", "__getattribute__", "__bool__", "state", "get")
    # What a file may hold: here a stand-in, which is not to be called, and a function that rebuilds tensors.
    vars(network.args).update(dict.fromkeys(names, torch._utils._rebuild_tensor_v2))
    vars(network).update(dict.fromkeys(names, network._modules["body"]))
    values[NETWORK] = network
    assert same(load_official(saved(values, tmp_path)), method)

"""Reading tensors from files of others."""

from __future__ import annotations

import pickle
from argparse import Namespace
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch

from novelview.errors import CheckpointError
from novelview.safe_pickle import StandIn, load_tensors


def test_plain_content_is_read(tmp_path: Path) -> None:
    values = {"step": 3, "psnr": 31.5, "state": OrderedDict(weight=torch.eye(2))}
    torch.save(values, tmp_path / "file.tar")
    read = load_tensors(tmp_path / "file.tar")
    assert read["step"] == 3
    assert read["psnr"] == 31.5
    assert torch.equal(read["state"]["weight"], torch.eye(2))


def test_numbers_of_numpy_are_numbers(tmp_path: Path) -> None:
    """The best loss so far is usually one; arrays, which can hold objects, stay refused."""
    numbers = {
        "double": np.float64(1.5),
        "single": np.float32(2.25),
        "long": np.int64(-3),
        "bool": np.bool_(True),
    }
    torch.save(numbers, tmp_path / "file.pt")
    read = load_tensors(tmp_path / "file.pt")
    assert read == numbers
    assert [type(value) for value in read.values()] == [float, float, int, bool]
    for refused in (np.ones(3), np.str_("text"), np.complex64(1j)):
        torch.save(refused, tmp_path / "file.pt")
        with pytest.raises(CheckpointError):
            load_tensors(tmp_path / "file.pt")


def test_a_whole_module_is_refused_with_its_class_named(tmp_path: Path) -> None:
    torch.save({"network": torch.nn.Linear(2, 2)}, tmp_path / "file.tar")
    with pytest.raises(CheckpointError, match=r"torch\.nn\.modules\.linear\.Linear") as caught:
        load_tensors(tmp_path / "file.tar")
    assert caught.value.cure
    assert "weights_only" not in str(caught.value)


def test_a_folder_is_not_a_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError):
        load_tensors(tmp_path)


def test_objects_of_named_classes_become_inert_stand_ins(tmp_path: Path) -> None:
    options = Namespace(width=3, nested=Namespace(depth=2))
    vars(options)["__class__"] = set
    torch.save({"options": options, "weight": torch.eye(2)}, tmp_path / "file.tar")
    with pytest.raises(CheckpointError, match=r"argparse\.Namespace"):
        load_tensors(tmp_path / "file.tar")
    read = load_tensors(tmp_path / "file.tar", ["argparse.Namespace"])["options"]
    assert type(read) is StandIn
    assert read.state["width"] == 3
    assert read.state["__class__"] is set
    assert read.state["nested"].state == {"depth": 2}
    assert not hasattr(read, "width")
    assert (StandIn, "argparse.Namespace") not in torch.serialization.get_safe_globals()


def test_an_object_without_a_state_has_an_empty_one(tmp_path: Path) -> None:
    torch.save(Namespace(), tmp_path / "file.tar")
    assert load_tensors(tmp_path / "file.tar", ["argparse.Namespace"]).state == {}


def test_stand_ins_refuse_arguments_and_strange_states() -> None:
    with pytest.raises(TypeError):
        StandIn(1)  # type: ignore[call-arg]
    with pytest.raises(pickle.UnpicklingError):
        StandIn().__setstate__((None, {"__class__": int}))
    with pytest.raises(AttributeError):
        StandIn().width = 3  # type: ignore[attr-defined]

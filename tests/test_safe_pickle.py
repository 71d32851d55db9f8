"""Reading tensors from files of others."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import pytest
import torch

from novelview.errors import CheckpointError
from novelview.safe_pickle import load_tensors


def test_plain_content_is_read(tmp_path: Path) -> None:
    values = {"step": 3, "psnr": 31.5, "state": OrderedDict(weight=torch.eye(2))}
    torch.save(values, tmp_path / "file.tar")
    read = load_tensors(tmp_path / "file.tar")
    assert read["step"] == 3
    assert read["psnr"] == 31.5
    assert torch.equal(read["state"]["weight"], torch.eye(2))


def test_a_whole_module_is_refused_with_its_class_named(tmp_path: Path) -> None:
    torch.save({"network": torch.nn.Linear(2, 2)}, tmp_path / "file.tar")
    with pytest.raises(CheckpointError, match=r"torch\.nn\.modules\.linear\.Linear") as caught:
        load_tensors(tmp_path / "file.tar")
    assert caught.value.cure
    assert "weights_only" not in str(caught.value)


def test_a_folder_is_not_a_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError):
        load_tensors(tmp_path)

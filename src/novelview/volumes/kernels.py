"""The choice between the readable path along rays and the fast one."""

from __future__ import annotations

from functools import cache
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from novelview.rendering.compiled import can_compile
from novelview.volumes import reference
from novelview.volumes.lookup import Coordinates


@runtime_checkable
class Kernels(Protocol):
    """What :mod:`novelview.volumes.reference` and :mod:`novelview.volumes.fused` offer."""

    def guide(
        self,
        coarse: Tensor,
        position: Coordinates,
        length: Tensor,
        even_share: float,
        count: int,
        jitter: Tensor,
    ) -> tuple[Tensor, Tensor]: ...

    def composite(
        self, density: Tensor, colour: Tensor, shift: float, position: Coordinates, length: Tensor
    ) -> tuple[Tensor, Tensor]: ...


def kernels_for(table: Tensor) -> Kernels:
    """The fastest kernels for where ``table`` lies: compiled ones on a CPU, if numba is installed."""
    if table.device.type == "cpu" and table.dtype == torch.float32:
        return _on_cpu()
    return reference


@cache
def _on_cpu() -> Kernels:
    if not can_compile():
        return reference
    from novelview.volumes import fused

    return fused

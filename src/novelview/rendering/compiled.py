"""Loops that numba compiles at first use, kept in its cache; only for who finds numba installed."""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor

# Without the flags that assume there are neither NaNs nor infinities: a diverged training must be seen.
_MATHS = {"contract", "reassoc", "nsz", "arcp", "afn"}


def can_compile() -> bool:
    """Whether numba is installed."""
    return importlib.util.find_spec("numba") is not None


def compiled(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """A loop over arrays, compiled; it runs beside other threads."""
    from numba import njit

    # Checks of types that tests wrap around every function are not for the compiler.
    plain = inspect.unwrap(function)
    result: Callable[..., Any] = njit(
        nogil=True, cache=True, fastmath=_MATHS, error_model="numpy", **options
    )(plain)
    return result


def inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """A part of compiled loops that becomes part of their code."""
    return compiled(function, inline="always")


def array(tensor: Tensor) -> np.ndarray:
    """A tensor's values for a compiled loop."""
    return tensor.detach().contiguous().numpy()

"""Keeps the C library from handing large buffers back to the system after every tensor operation.

By default glibc maps each tensor over a few megabytes afresh and unmaps it when it is freed, so every operation
pays for page faults again; kept buffers make large eager CPU operations several times faster.
"""

from __future__ import annotations

import ctypes
import platform

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEEP_BELOW = 2**30


def tune_allocator() -> bool:
    """Keep freed buffers below 1 GiB for reuse; call before torch is imported. Returns False where glibc is absent."""
    if platform.system() != "Linux":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, _KEEP_BELOW) and mallopt(_M_TRIM_THRESHOLD, 2**31 - 1))

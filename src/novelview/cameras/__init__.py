"""Cameras: intrinsics, lens and pose together; conventions of other programs; camera paths and their files."""

from novelview.cameras.cameras import Cameras

__all__ = ["Cameras"]

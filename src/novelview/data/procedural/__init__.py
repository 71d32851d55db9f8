"""Procedural scenes: random textured solids with exact colour, depth, normals and masks, determined by a seed."""

from novelview.data.procedural.families import FAMILIES
from novelview.data.procedural.scenes import demo_scene, make_scene
from novelview.data.procedural.stream import ProceduralStream
from novelview.data.procedural.write import write_capture

__all__ = ["FAMILIES", "ProceduralStream", "demo_scene", "make_scene", "write_capture"]

"""Procedural scenes: random textured solids with exact colour, depth, normals and masks, determined by a seed."""

from novelview.data.procedural.described_stream import DescribedStream, described_scene
from novelview.data.procedural.families import FAMILIES
from novelview.data.procedural.object_views import object_scene, surface_points
from novelview.data.procedural.objects import OBJECTS, make_object
from novelview.data.procedural.scenes import demo_scene, make_scene
from novelview.data.procedural.stream import ProceduralStream
from novelview.data.procedural.write import write_capture

__all__ = [
    "FAMILIES",
    "OBJECTS",
    "DescribedStream",
    "ProceduralStream",
    "demo_scene",
    "described_scene",
    "make_object",
    "make_scene",
    "object_scene",
    "surface_points",
    "write_capture",
]

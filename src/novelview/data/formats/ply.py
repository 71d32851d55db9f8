"""Point positions out of PLY files, ascii or binary: only what a capture needs, the vertices' x, y and z."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from novelview.errors import DataError

_TYPES = {
    "char": "i1",
    "int8": "i1",
    "uchar": "u1",
    "uint8": "u1",
    "short": "i2",
    "int16": "i2",
    "ushort": "u2",
    "uint16": "u2",
    "int": "i4",
    "int32": "i4",
    "uint": "u4",
    "uint32": "u4",
    "float": "f4",
    "float32": "f4",
    "double": "f8",
    "float64": "f8",
}
_ORDERS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}


@dataclass(frozen=True)
class _Header:
    """Layout of the vertices: byte order ("" for ascii), how many there are, and their properties."""

    order: str
    count: int
    properties: tuple[tuple[str, str], ...]
    size: int


def read_points(path: Path) -> Float64[np.ndarray, "p 3"]:
    """Vertex positions of a PLY file whose first element is "vertex".

    Raises:
        DataError: the file is not PLY, is cut short, or has no x, y, z.
    """
    data = path.read_bytes()
    try:
        header = _parse_header(data)
        body = data[header.size :]
        return _ascii(header, body) if header.order == "" else _binary(header, body)
    except (ValueError, KeyError, IndexError, OverflowError) as error:
        raise DataError(
            "Cannot read a point cloud",
            where=path,
            why=str(error),
            cure="write it again as PLY, or remove its name from the capture",
        ) from error


def _parse_header(data: bytes) -> _Header:
    if not data.startswith(b"ply"):
        raise ValueError("it does not start with 'ply'")
    end = data.find(b"end_header")
    newline = data.find(b"\n", end)
    if end < 0 or newline < 0:
        raise ValueError("its header does not end")
    lines = [line.split() for line in data[:end].decode("ascii").splitlines()]
    order = next((_ORDERS[line[1]] for line in lines if line[:1] == ["format"]), None)
    elements = [i for i, line in enumerate(lines) if line[:1] == ["element"]]
    if order is None or not elements or lines[elements[0]][1] != "vertex":
        raise ValueError("its first element is not 'vertex'")
    stop = elements[1] if len(elements) > 1 else len(lines)
    properties = [line for line in lines[elements[0] : stop] if line[:1] == ["property"]]
    pairs = tuple((line[2], _TYPES[line[1]]) for line in properties)
    if not {"x", "y", "z"} <= {name for name, _ in pairs}:
        raise ValueError("its vertices have no x, y, z")
    return _Header(order, int(lines[elements[0]][2]), pairs, newline + 1)


def _ascii(header: _Header, body: bytes) -> Float64[np.ndarray, "p 3"]:
    lines = body.splitlines()[: max(0, header.count)]
    if len(lines) != header.count:
        raise ValueError(f"it announces {header.count} vertices and holds {len(lines)}")
    columns = [[name for name, _ in header.properties].index(axis) for axis in "xyz"]
    rows = [line.split() for line in lines]
    return np.array([[float(row[c]) for c in columns] for row in rows], dtype=np.float64).reshape(-1, 3)


def _binary(header: _Header, body: bytes) -> Float64[np.ndarray, "p 3"]:
    record = np.dtype([(name, header.order + kind) for name, kind in header.properties])
    held = len(body) // record.itemsize
    if not 0 <= header.count <= held:
        raise ValueError(f"it announces {header.count} vertices and holds {held}")
    vertices = np.frombuffer(body, record, header.count)
    return np.stack([vertices[axis].astype(np.float64) for axis in "xyz"], axis=1)

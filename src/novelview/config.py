"""Frozen configuration dataclasses to JSON and back, strictly: an unknown key is an error, never ignored."""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from pathlib import Path
from typing import Any, TypeVar

from novelview.errors import ConfigError

T = TypeVar("T")


def to_json(config: Any) -> Any:
    """A JSON-ready copy of a dataclass and everything in it."""
    if dataclasses.is_dataclass(config) and not isinstance(config, type):
        return {f.name: to_json(getattr(config, f.name)) for f in dataclasses.fields(config)}
    if isinstance(config, (list, tuple)):
        return [to_json(value) for value in config]
    if isinstance(config, dict):
        return {str(key): to_json(value) for key, value in config.items()}
    if isinstance(config, Path):
        return config.as_posix()
    return config


def from_json(kind: type[T], values: Any, *, where: str | Path = "configuration") -> T:
    """The dataclass ``kind`` that :func:`to_json` wrote.

    Raises:
        ConfigError: an unknown or missing key, or a value of the wrong type; names the key and the nearest valid one.
    """
    return typing.cast(T, _parse(kind, values, where, ""))


def _parse(kind: Any, values: Any, where: str | Path, key: str) -> Any:
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _parse_dataclass(kind, values, where, key)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        if values is None and type(None) in arguments:
            return None
        return _parse_union([a for a in arguments if a is not type(None)], values, where, key)
    if origin is typing.Literal:
        if values not in arguments:
            raise _wrong(where, key, values, f"one of {', '.join(map(repr, arguments))}")
        return values
    if origin is tuple and isinstance(values, (list, tuple)):
        kinds = [arguments[0]] * len(values) if arguments[-1] is Ellipsis else list(arguments)
        if len(kinds) != len(values):
            raise _wrong(where, key, values, f"{len(kinds)} values")
        return tuple(_parse(k, v, where, key) for k, v in zip(kinds, values, strict=True))
    if origin is dict and isinstance(values, dict):
        return {k: _parse(arguments[1], v, where, f"{key}.{k}") for k, v in values.items()}
    return _parse_leaf(kind, values, where, key)


def _parse_dataclass(kind: Any, values: Any, where: str | Path, key: str) -> Any:
    if not isinstance(values, dict):
        raise _wrong(where, key, values, "an object")
    hints = typing.get_type_hints(kind)
    fields = {f.name: f for f in dataclasses.fields(kind)}
    for name in values:
        if name not in fields:
            near = difflib.get_close_matches(str(name), fields, n=1)
            raise ConfigError(
                f"Unknown key {name!r} in {kind.__name__}",
                where=where,
                cure=f"did you mean {near[0]!r}?" if near else f"valid keys: {', '.join(fields)}",
            )
    parsed = {name: _parse(hints[name], v, where, f"{key}.{name}".lstrip(".")) for name, v in values.items()}
    try:
        return kind(**parsed)
    except TypeError as error:
        raise ConfigError(f"Incomplete {kind.__name__}", where=where, why=str(error)) from None


def _parse_union(kinds: list[Any], values: Any, where: str | Path, key: str) -> Any:
    for kind in kinds:
        try:
            return _parse(kind, values, where, key)
        except ConfigError:
            if kind is kinds[-1]:
                raise
    raise AssertionError("a union has at least one member")


def _parse_leaf(kind: Any, values: Any, where: str | Path, key: str) -> Any:
    if kind is Any or kind is object:
        return values
    if kind is float and isinstance(values, (int, float)) and not isinstance(values, bool):
        return float(values)
    if kind is Path and isinstance(values, str):
        return Path(values)
    if isinstance(kind, type) and isinstance(values, kind) and not (kind is int and isinstance(values, bool)):
        return values
    raise _wrong(where, key, values, getattr(kind, "__name__", str(kind)))


def _wrong(where: str | Path, key: str, value: Any, expected: str) -> ConfigError:
    return ConfigError(
        f"Bad value {value!r} for {key or 'the top level'}", where=where, why=f"expected {expected}"
    )

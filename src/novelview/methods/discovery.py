"""Which methods exist: every folder beside this file, and every installed package that offers one."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from functools import cache
from importlib.metadata import entry_points

import novelview.methods
from novelview.errors import MethodError
from novelview.methods.method import MethodSpec

ENTRY_POINT_GROUP = "novelview.methods"


@cache
def discover() -> dict[str, MethodSpec]:
    """All methods by name, sorted.

    Raises:
        MethodError: two methods share a name, or a plug-in does not hold a :class:`MethodSpec`.
    """
    found: dict[str, MethodSpec] = {}
    for module in pkgutil.iter_modules(novelview.methods.__path__):
        if module.ispkg:
            loaded = importlib.import_module(f"novelview.methods.{module.name}")
            for spec in getattr(loaded, "METHODS", None) or (loaded.METHOD,):
                _add(found, spec, loaded.__name__)
    for entry in entry_points(group=ENTRY_POINT_GROUP):
        try:
            spec = entry.load()
        except Exception as error:
            raise MethodError("A plug-in cannot be loaded", where=entry.value, why=str(error)) from error
        _add(found, spec, entry.value)
    return dict(sorted(found.items()))


def find(name: str) -> MethodSpec:
    """The method called ``name``; the error names the nearest one."""
    methods = discover()
    if name in methods:
        return methods[name]
    near = difflib.get_close_matches(name, methods, n=1)
    raise MethodError(
        f"There is no method called {name!r}",
        cure=f"did you mean {near[0]!r}?" if near else f"choose one of: {', '.join(methods)}",
    )


def _add(found: dict[str, MethodSpec], spec: object, where: str) -> None:
    if not isinstance(spec, MethodSpec):
        raise MethodError(
            "A plug-in does not offer a MethodSpec", where=where, why=f"found {type(spec).__name__}"
        )
    if spec.name in found:
        raise MethodError(f"Two methods are called {spec.name!r}", where=where, cure="rename one of them")
    found[spec.name] = spec

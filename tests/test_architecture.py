"""The direction of imports, as docs/architecture.md states it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src" / "novelview"

# Every part may import itself, these modules, and what is listed for it.
BASE = {"errors", "fields", "files", "config", "random", "allocator", "safe_pickle", "progress"}
ALLOWED = {
    "geometry": set(),
    "rendering": {"geometry"},
    "nn": {"geometry"},
    "cameras": {"geometry"},
    "types": {"geometry", "cameras"},
    "layered": {"geometry", "cameras", "types", "rendering"},
    "light_field": {"geometry", "cameras", "types"},
    "generation": {"geometry", "cameras", "types"},
    "surface": {"geometry", "rendering"},
    "mesh": {"geometry", "rendering", "surface"},
    "volumes": {"geometry", "cameras", "types", "rendering"},
    "data": {"geometry", "cameras", "types", "rendering"},
    "methods": {
        "geometry",
        "cameras",
        "types",
        "layered",
        "light_field",
        "generation",
        "surface",
        "data",
        "rendering",
        "nn",
        "volumes",
    },
    "subjects": {"cameras", "data", "generation", "methods", "types"},
    "distillation": {"geometry", "cameras", "types", "data", "methods"},
    "training": {"geometry", "cameras", "types", "data", "methods", "distillation"},
    "export": {"geometry", "cameras", "types", "layered", "light_field", "mesh"},
    "evaluation": {
        "geometry",
        "cameras",
        "types",
        "generation",
        "data",
        "rendering",
        "nn",
        "methods",
        "export",
    },
}


def _imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("novelview."):
            found.add(node.module)
        elif isinstance(node, ast.ImportFrom) and node.module == "novelview":
            found.update(f"novelview.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names if alias.name.startswith("novelview."))
    return found


@pytest.mark.parametrize("part", sorted(ALLOWED))
def test_imports_go_one_way(part: str) -> None:
    place = SOURCE / part
    files = sorted(place.rglob("*.py")) if place.is_dir() else [place.with_suffix(".py")]
    assert files
    for path in files:
        parts = {module.split(".")[1] for module in _imports(path)}
        wrong = parts - ALLOWED[part] - BASE - {part}
        assert not wrong, f"{path.relative_to(SOURCE)} imports {sorted(wrong)}"


def test_no_method_imports_another() -> None:
    folders = [path for path in (SOURCE / "methods").iterdir() if (path / "__init__.py").is_file()]
    assert len(folders) >= 2
    for folder in folders:
        others = {other.name for other in folders} - {folder.name}
        for path in folder.rglob("*.py"):
            for module in _imports(path):
                words = module.split(".")
                assert not (words[1] == "methods" and len(words) > 2 and words[2] in others), (path, module)

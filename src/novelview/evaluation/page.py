"""Building blocks of a web page that stands alone: no script, no other file, light and dark."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape
from importlib.resources import files

from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image

CSS = files("novelview.evaluation").joinpath("page.css").read_text(encoding="utf-8")


def document(title: str, body: str) -> str:
    """A complete HTML page; ``body`` is HTML, ``title`` is text."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{CSS}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def table(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    best: Sequence[Sequence[bool]] | None = None,
    main: int | None = None,
    style: str = "",
) -> str:
    """A table of texts.

    Args:
        head: column titles; empty for none.
        rows: cells.
        best: which cells are the best of their column.
        main: the row that the page is about.
        style: CSS class.
    """
    lines = []
    if head:
        lines.append("<tr>" + "".join(f"<th>{escape(cell)}</th>" for cell in head) + "</tr>")
    for i, row in enumerate(rows):
        marks = [' class="best"' if best is not None and best[i][j] else "" for j in range(len(row))]
        cells = "".join(f"<td{mark}>{escape(cell)}</td>" for mark, cell in zip(marks, row, strict=True))
        lines.append(f'<tr class="main">{cells}</tr>' if i == main else f"<tr>{cells}</tr>")
    return f'<div class="wide"><table class="{escape(style)}">{"".join(lines)}</table></div>'


def figure(image: UInt8[ndarray, "h w 3"], name: str = "", detail: str = "", longest: int = 480) -> str:
    """A picture with its caption, embedded as a JPEG of at most ``longest`` pixels a side."""
    picture = f'<img alt="{escape(name)}" src="{jpeg_uri(image, longest)}">'
    caption = f"<figcaption><b>{escape(name)}</b>{escape(detail)}</figcaption>" if name else ""
    return f"<figure>{picture}{caption}</figure>"


def jpeg_uri(image: UInt8[ndarray, "h w 3"], longest: int) -> str:
    """The picture as a ``data:`` address of a JPEG, made smaller where it is larger than ``longest``."""
    picture = Image.fromarray(image)
    ratio = longest / max(picture.size)
    if ratio < 1:
        size = (max(1, round(picture.width * ratio)), max(1, round(picture.height * ratio)))
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    stored = io.BytesIO()
    picture.save(stored, format="JPEG", quality=88, subsampling=0)
    return "data:image/jpeg;base64," + base64.b64encode(stored.getvalue()).decode()

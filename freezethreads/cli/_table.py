"""Tables of plain text, which a pipe can carry and `grep` can read."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence

from freezethreads._ground.text import clean

__all__ = ["cell", "room", "table_of"]

_READABLE = 24
"""Characters of a long cell that have to be left, or another column is left out instead."""


def table_of(
    header: Sequence[str],
    rows: Sequence[Sequence[object]],
    width: int | None = None,
    dispensable: Sequence[str] = (),
) -> str:
    """Lay out rows below a header. Numbers are put to the right; the last column is not padded.

    No line is longer than `width` characters (None: they are as long as they have to be): long
    cells are cut in the middle, and `dispensable` columns left out, one after the other, if that is
    not enough. A last line says so.
    """
    right = [any(isinstance(row[i], (int, float)) for row in rows) for i in range(len(header))]
    cells = [list(header), *([cell(value) for value in row] for row in rows)]
    whole = {name: max(len(row[i]) for row in cells) for i, name in enumerate(header)}
    widths = whole if width is None else _fitted(whole, width, dispensable)
    lines = []
    for row in cells:
        parts = zip(header, row, right, strict=True)
        padded = [
            _padded(text, widths[name], is_right)
            for name, text, is_right in parts
            if name in widths
        ]
        lines.append("  ".join(padded).rstrip())
    if left_out := [name for name in header if name not in widths]:
        lines.append(f"(no room for {', '.join(left_out)}: --wide)")
    return "\n".join(lines)


def room(wide: bool) -> int | None:
    """Characters in a line of the terminal that is printed to; None if it is none, or with `wide`:
    as many as it takes."""
    if wide or sys.stdout is None or not sys.stdout.isatty():
        return None
    return shutil.get_terminal_size().columns


def cell(value: object) -> str:
    """What stands in a column for a value; "-" for None and for an empty text."""
    if value is None:
        return "-"
    return f"{value:.1f}" if isinstance(value, float) else clean(str(value)) or "-"


def _fitted(whole: dict[str, int], width: int, dispensable: Sequence[str]) -> dict[str, int]:
    """How wide each column is that there is room for."""
    kept = dict(whole)
    for name in dispensable:
        if _longest(kept, width) >= min(_READABLE, max(kept.values())):
            break
        del kept[name]
    longest = _longest(kept, width)
    return {name: min(column, longest) for name, column in kept.items()}


def _longest(whole: dict[str, int], width: int) -> int:
    """How wide a column may be so that all fit."""
    left = width - 2 * (len(whole) - 1)
    longest = max(whole.values())
    while longest > 1 and sum(min(column, longest) for column in whole.values()) > left:
        longest -= 1
    return longest


def _padded(text: str, width: int, is_right: bool) -> str:
    if len(text) > width:
        begin = max(0, (width - 3) // 2)
        end = max(0, width - 3 - begin)
        text = (text[:begin] + "..." + text[len(text) - end :])[:width]
    return text.rjust(width) if is_right else text.ljust(width)

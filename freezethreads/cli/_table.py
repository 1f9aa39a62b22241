"""Tables of plain text, which a pipe can carry and `grep` can read."""

from __future__ import annotations

from collections.abc import Sequence

from freezethreads._ground.text import clean

__all__ = ["cell", "table_of"]


def table_of(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Lay out rows below a header. Numbers are put to the right; the last column is not padded."""
    numeric = [any(isinstance(row[i], (int, float)) for row in rows) for i in range(len(header))]
    cells = [list(header), *([cell(value) for value in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    lines = []
    for row in cells:
        parts = zip(row, widths, numeric, strict=True)
        padded = [text.rjust(width) if right else text.ljust(width) for text, width, right in parts]
        lines.append("  ".join(padded).rstrip())
    return "\n".join(lines)


def cell(value: object) -> str:
    """What stands in a column for a value; "-" for None and for an empty text."""
    if value is None:
        return "-"
    return f"{value:.1f}" if isinstance(value, float) else clean(str(value)) or "-"

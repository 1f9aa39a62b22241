"""What is called at a line of source, for a frame of which only the line is known."""

from __future__ import annotations

from pathlib import Path
from traceback import FrameSummary
from typing import Any

import pytest

from freezethreads._explain._source import call_of, has_call

CALLS = """\
class Work:
    def run(self):
        first = Config(
            a=1,
            b=lambda: nap(outer(
                2)),
            c=[deep(x) for x in self.read()],
        )
        handle(stock.get(timeout=1), (a or b).put(1), these[1].join())
        return (
            table.where(x)
            .order(y)
            .first(z)
        )
        if first: lock.acquire()
"""


def at(filename: str, text: str, name: str = "run", **columns: Any) -> FrameSummary:
    lineno = next(n for n, each in enumerate(CALLS.splitlines(), 1) if text in each)
    return FrameSummary(filename, lineno, name, lookup_line=False, **columns)


@pytest.mark.parametrize(
    ("text", "name", "callee", "call"),
    [
        ("first = Config(", "run", "", "Config"),
        ("a=1", "run", "", "a=1,"),  # no call begins there
        ("b=lambda", "run", "", "b=lambda: nap"),
        ("b=lambda", "<lambda>", "", "nap"),
        ("b=lambda", "<lambda>", "outer", "outer"),
        ("c=[deep", "run", "read", "self.read"),
        ("handle(", "run", "", "stock.get"),  # what takes something goes first
        ("handle(", "run", "handle", "handle"),
        ("handle(", "run", "put", "(...).put"),
        ("handle(", "run", "join", "these[...].join"),
        (".order(y)", "run", "", "table.where().order"),
        ("if first", "run", "", "lock.acquire"),
    ],
)
def test_what_is_called_where_columns_are_not_known(
    tmp_path: Path, text: str, name: str, callee: str, call: str
) -> None:
    path = tmp_path / "calls.py"
    path.write_text(CALLS)
    assert call_of(at(str(path), text, name), callee) == call
    assert has_call(at(str(path), text, name)) == (
        text != "a=1" and (text, name) != ("b=lambda", "run")
    )


def test_a_call_of_several_lines_is_known_by_its_end(tmp_path: Path) -> None:
    path = tmp_path / "calls.py"
    path.write_text(CALLS)
    lines = CALLS.splitlines()
    end = next(n for n, each in enumerate(lines, 1) if ".order(y)" in each)
    entry = at(str(path), "table.where(x)", end_lineno=end, colno=12, end_colno=len(lines[end - 1]))
    assert call_of(entry) == "table.where().order"


def test_of_a_long_name_the_last_parts_are_told(tmp_path: Path) -> None:
    path = tmp_path / "long.py"
    path.write_text("x = (a\n" + "    .b(1)\n" * 900 + ")\n")
    assert call_of(FrameSummary(str(path), 900, "f", lookup_line=False)) == "(...).b().b().b().b"

"""What may be written anew of a line that waits, and what may not, told by its text alone."""

from __future__ import annotations

from pathlib import Path
from traceback import FrameSummary, StackSummary

import pytest

from freezethreads._explain._causes import Cause
from freezethreads._explain._rewrite import Line
from freezethreads._explain._sentences import advise, rewrite
from freezethreads._report.looks import Evidence

# What calls back.

CALLERS = [
    "app.exec()",
    "sys.exit(app.exec_())",
    "root.mainloop()",
    "loop.run_forever()",
    "server.serve_forever(0.5)",
    "GLib.MainLoop().run()",
    "items.sort(key=weigh)",
    "found = sorted(lines, key=str.lower)",
    "reader.read(lambda line: take(line))",
    "total = sum(map(weigh, source))",
    "for line in map(weigh, source): take(line)",
    "for line in filter(None, source): take(line)",
    "while not app.exec(): pass",
    "with app.exec(): pass",
]


def line_at(path: Path, text: str, part: str = "") -> Line:
    """The only line of a text, in a part of which a thread waits."""
    path.write_text(f"{text}\n")
    start = text.index(part)
    columns = (start, start + len(part)) if part else (None, None)
    entry = FrameSummary(
        str(path),
        1,
        "work",
        lookup_line=False,
        end_lineno=1,
        colno=columns[0],
        end_colno=columns[1],
    )
    return Line([entry])


@pytest.mark.parametrize("text", CALLERS)
def test_what_calls_the_program_back_is_not_written_anew(tmp_path: Path, text: str) -> None:
    line = line_at(tmp_path / "caller.py", text)
    assert line.calls_back
    assert line.rewritten("freezethreads") == ()


@pytest.mark.parametrize("text", CALLERS[:-2])
@pytest.mark.parametrize("cause", [Cause.WAITING, Cause.C_CALL, Cause.WAKER])
def test_no_region_is_advised_around_it(tmp_path: Path, text: str, cause: Cause) -> None:
    path = tmp_path / "caller.py"
    path.write_text(f"{text}\n")
    stack = StackSummary.from_list([FrameSummary(str(path), 1, "work", lookup_line=False)])
    evidence = Evidence(
        later=stack, calling=True, busy=False, inside=None, inside_at=None, waker=False,
        joins=None, joins_frozen=False,
    )  # fmt: skip
    advice = advise("freezethreads", cause, evidence, None, None)
    assert "freezethreads.blocking()" not in advice
    assert "freezethreads.safepoint()" in advice or cause is Cause.WAKER
    assert rewrite("freezethreads", cause, evidence) == ()


# What is not sure.


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("take(source.readline(size()))", "source.readline(size())"),  # size() would be in there
        ("take(ready() and source.readline())", "source.readline()"),  # not in any case
        ("take(size(), source.readline())", "source.readline()"),  # size() comes first
        ("take([source.readline() for _ in box])", "source.readline()"),
        ("take(lambda: source.readline())", "source.readline()"),
        ("for line in sorted(source.readlines()): take(line)", "source.readlines()"),
        ("for line in [one() for one in source]: take(line)", "[one() for one in source]"),
        ("while True: take(source.readline())", "source.readline()"),
        ("assert source.readline()", "source.readline()"),
        ("take(source.ask())", "source.ask()"),  # which nobody knows
    ],
)
def test_what_might_mean_something_else_is_not_written_anew(
    tmp_path: Path, text: str, part: str
) -> None:
    line = line_at(tmp_path / "unsure.py", text, part)
    assert line.rewritten("freezethreads") == ()
    assert not line.is_alone


def test_blocks_that_may_not_be_written_anew(tmp_path: Path) -> None:
    for text in (
        "for line in source:\n    take(line)\nelse:\n    take('end')",
        "while source.readline():\n    take(1)\nelse:\n    take('end')",
    ):
        path = tmp_path / f"else{len(text)}.py"
        path.write_text(text)
        assert not Line([FrameSummary(str(path), 1, "f", lookup_line=False)]).rewritten("x")
    path = tmp_path / "elif.py"
    path.write_text("if box:\n    pass\nelif source.readline():\n    take(1)\n")
    assert not Line([FrameSummary(str(path), 3, "f", lookup_line=False)]).rewritten("x")
    assert not Line([]).rewritten("x")
    assert not Line([FrameSummary("<none>", 1, "f", lookup_line=False)]).rewritten("x")


def test_names_that_the_program_has_are_left_alone(tmp_path: Path) -> None:
    line = line_at(tmp_path / "names.py", "take(got.readline(), items)", "got.readline()")
    assert line.rewritten("freezer") == (
        "with freezer.blocking():",
        "    got_ = got.readline()",
        "take(got_, items)",
    )

"""Advice that is followed to the letter makes a program whose worlds stand still.

Each of these programs reads lines from a pipe and notes them. What is said of the line at which it
waits is done to its text; then it is run again, and lines come while a world stands.
"""

from __future__ import annotations

import os
import sched
import textwrap
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import pytest

import freezethreads
from freezethreads import Freezer
from freezethreads._explain import diagnose, render_diagnosis
from freezethreads._ground.files import is_own
from freezethreads._report.reports import Diagnosis, Finding
from freezethreads._report.stacks import read_stacks
from helpers import HAS_GIL, WAIT, Worker, start, wait_for, wait_until

# `take` notes a line. What has "# here" is where the thread waits.
PROGRAMS = {
    "a for": """
        for line in source:  # here
            take(line)
    """,
    "a for in one line": """
        for line in source: take(line)  # here
    """,
    "a for of a call": """
        for line in iter(source.readline, ""):  # here
            take(line)
    """,
    "a for of pairs": """
        for number, line in enumerate(source):  # here
            take(line)
    """,
    "a for into what others see": """
        for box.line in source:  # here
            pass
    """,
    "a for whose name is shared": """
        def note():
            take(line)
        for line in source:  # here
            note()
    """,
    "a while": """
        while line := source.readline():  # here
            take(line)
    """,
    "a while that compares": """
        line = ""
        while (line := source.readline()) != "":  # here
            take(line)
    """,
    "an if": """
        while True:
            if not box.set(source.readline()):
                return
    """,
    "a call around it": """
        for _ in range(3):
            take(source.readline())  # here
    """,
    "a target that others see": """
        for _ in range(3):
            box.line = source.readline()  # here
    """,
    "a subscript": """
        for number in range(3):
            table[number] = source.readline()  # here
    """,
    "a with": """
        for _ in range(3):
            with taking(source.readline()):  # here
                pass
    """,
    "a with of several": """
        for _ in range(3):
            with taking(source.readline()) as line, taking(""):  # here
                pass
    """,
    "alone": """
        for _ in range(3):
            line = source.readline()  # here
            take(line)
    """,
}
LINES = ["one\n", "two\n", "three\n"]


class Box:
    """Where a program puts lines so that others see them."""

    seen: list[str]

    def __init__(self, seen: list[str]) -> None:
        object.__setattr__(self, "seen", seen)

    def set(self, line: str) -> bool:
        if line:
            self.seen.append(line)
        return bool(line)

    def __setattr__(self, name: str, line: str) -> None:
        self.set(line)

    def __setitem__(self, key: object, line: str) -> None:
        self.set(line)


@contextmanager
def running(path: Path, text: str) -> Iterator[tuple[Worker[None], TextIO, list[str]]]:
    """The program in a registered thread, the end of the pipe to write to, and what it noted."""
    path.write_text(text)
    reading, writing = os.pipe()
    begun = threading.Event()
    seen: list[str] = []
    box = Box(seen)

    @contextmanager
    def taking(line: str) -> Iterator[str]:
        box.set(line)
        yield line

    names: dict[str, Any] = {
        "box": box, "table": box, "take": box.set, "taking": taking, "freezethreads": freezethreads,
    }  # fmt: skip
    exec(compile(text, str(path), "exec"), names)

    def run() -> None:
        with os.fdopen(reading) as source, freezethreads.register("reader"):
            begun.set()  # it stops in register() no more
            names["work"](source)

    thread = start(run)
    with os.fdopen(writing, "w", buffering=1) as sink:
        try:
            wait_for(begun)
            yield thread, sink, seen
        finally:
            sink.close()
            thread.finish()


def text_of(name: str) -> str:
    return "def work(source):\n" + textwrap.indent(textwrap.dedent(PROGRAMS[name]), "    ")


def advised(path: Path, text: str) -> Finding:
    """What is said of the program while it waits for its first line."""
    found: list[Diagnosis] = []
    with running(path, text):

        def is_waiting() -> bool:
            found[:] = [diagnose(freezethreads.default_freezer, 0.02)]
            return [finding.cause for finding in found[0].findings] == ["waiting"]

        wait_until(is_waiting)
    (finding,) = found[0].findings
    said = render_diagnosis(found[0])
    assert all(f"\n    {line}\n" in said for line in finding.rewritten or ())
    return finding


def follow(finding: Finding, text: str) -> str:
    """The program as it is advised."""
    lines = text.splitlines()
    assert finding.lineno is not None
    line = lines[finding.lineno - 1]
    indent = line[: len(line) - len(line.lstrip())]
    if finding.rewritten is None:
        assert finding.advice.startswith("Wrap this call in `with freezethreads.blocking():` at ")
        new = ["with freezethreads.blocking():", f"    {line.strip()}"]
    else:
        new = [one for one in finding.rewritten if one.strip() != "..."]
        head, _, body = line.partition(":  # here")[0].partition(": ")
        if body and head.lstrip().startswith("for"):
            new.append(f"    {body.partition('  #')[0]}")
    lines[finding.lineno - 1 : finding.lineno] = [indent + one for one in new]
    return "\n".join(lines) + "\n"


def is_parked(thread: Worker[None]) -> bool:
    """Whether it is in this library: it has left its call, and not its region."""
    (stack,) = read_stacks([thread.ident or 0]).values()
    return bool(stack) and is_own(stack[0].filename)


def look_while_lines_come(path: Path, text: str) -> None:
    """Freeze the program three times, each time before its next line comes."""
    with running(path, text) as (thread, sink, seen):
        for number, line in enumerate(LINES):
            wait_until(lambda number=number: len(seen) == number)  # type: ignore[misc]
            with freezethreads.freeze(timeout=WAIT):
                sink.write(line)
                wait_until(lambda number=number: is_parked(thread) or len(seen) > number)  # type: ignore[misc]
                assert seen == LINES[:number], "it moved"
    assert seen == LINES


@pytest.mark.skipif(not HAS_GIL, reason="there only lines are known: see the next")
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_that_follows_it_stands_still(tmp_path: Path, name: str) -> None:
    text = text_of(name)
    finding = advised(tmp_path / "before.py", text)
    if finding.rewritten is None and not finding.advice.startswith("Wrap this call"):
        pytest.fail(f"nothing to follow: {finding}")
    look_while_lines_come(tmp_path / "after.py", follow(finding, text))


@pytest.mark.usefixtures("no_gil")
@pytest.mark.parametrize("name", PROGRAMS)
def test_where_only_lines_are_known_nothing_wrong_is_said(tmp_path: Path, name: str) -> None:
    """Of several calls at a line nobody can tell then which one waits."""
    text = text_of(name)
    finding = advised(tmp_path / "before.py", text)
    if finding.rewritten is None and not finding.advice.startswith("Wrap this call"):
        assert "only the call" in finding.advice or "blocking()" not in finding.advice
    else:
        look_while_lines_come(tmp_path / "after.py", follow(finding, text))


# What is no line to be written anew.


def test_a_call_of_c_that_nobody_knows_may_call_back(tmp_path: Path) -> None:
    """This parser does so: it waits for what it reads, and calls what takes the elements."""
    text = """
import xml.parsers.expat
def work(source):
    parser = xml.parsers.expat.ParserCreate()
    parser.StartElementHandler = lambda name, attributes: take(name)
    parser.ParseFile(source.buffer)
"""
    path = tmp_path / "parses.py"
    with running(path, text) as (_, sink, seen):
        sink.write("<all><one/>")
        found: list[Finding] = []

        def is_waiting() -> bool:
            found[:] = diagnose(freezethreads.default_freezer, 0.02).findings
            return [finding.cause for finding in found] == ["waiting"]

        wait_until(is_waiting)
        sink.write("</all>")
    assert seen == ["all", "one"]
    assert found[0].line == "parser.ParseFile(source.buffer)"
    assert found[0].advice.startswith(
        "If it calls nothing of the program (no callback, handler or key function): wrap this call"
    )
    assert found[0].rewritten is None


def test_an_event_loop_stops_that_follows_the_advice() -> None:
    """`sched` is one: it calls what the program has given it, and sleeps in between."""
    seen: list[int] = []
    over = threading.Event()
    loop = sched.scheduler()

    def tick() -> None:
        freezethreads.safepoint("tick")
        seen.append(len(seen))
        if not over.is_set():
            loop.enter(0.001, 0, tick)

    def run() -> None:
        with freezethreads.register("loop"):
            tick()
            loop.run()

    thread = start(run)
    wait_until(lambda: len(seen) > 3)
    for _ in range(20):
        with freezethreads.freeze(timeout=WAIT) as world:
            before = len(seen)
            assert [info.site and info.site.label for info in world.threads] == ["tick"]
            assert len(seen) == before
    over.set()
    thread.finish()


def test_the_end_of_a_block_that_waits_for_threads() -> None:
    """The line is that of the `with`, whose block must not be in a region as a whole."""
    over = threading.Event()
    freezer = Freezer()

    def work() -> None:
        with freezer.register("it"), ThreadPoolExecutor(1) as pool:
            pool.submit(over.wait, WAIT)

    thread = start(work)

    def is_waiting() -> bool:
        found[:] = diagnose(freezer, 0.02).findings
        return [finding.cause for finding in found] == ["join"]

    found: list[Finding] = []
    wait_until(is_waiting)
    over.set()
    thread.finish()
    (finding,) = found
    assert finding.line is not None
    assert finding.line.startswith("with freezer.register")
    assert finding.advice.startswith("Wait for the same in the last line of the block at ")
    assert finding.rewritten is None

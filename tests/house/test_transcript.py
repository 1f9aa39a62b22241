"""The walk through the verbs in docs/: it is what the commands print today."""

from __future__ import annotations

import re

import pytest

import _transcript
from _transcript import Step, Walk, shape_of
from helpers import ROOT

pytestmark = pytest.mark.timeout(120)

SHOWN = _transcript.shown(_transcript.PAGE.read_text())


@pytest.fixture(scope="module")
def walks() -> list[Walk]:
    """The walks, made now."""
    return _transcript.walk_all()


def shown_walks() -> list[tuple[str, list[tuple[str, list[str]]]]]:
    """What the page shows: of each program the commands, each with its lines."""
    walks = []
    for part in SHOWN.split("```text\n")[1:]:
        steps: list[tuple[str, list[str]]] = []
        for line in part.partition("\n```")[0].split("\n"):
            if line.startswith("$ "):
                steps.append((line[2:], []))
            else:
                steps[-1][1].append(line)
        walks.append(steps)
    titles = re.findall(r"^`([^`]+)`:$", SHOWN, flags=re.MULTILINE)
    return list(zip(titles, walks, strict=True))


def fits(line: str, shapes: set[str]) -> bool:
    """Whether a command prints such a line. One that was cut is the beginning of it."""
    shape = shape_of(line)
    if line.endswith("..."):
        return shape in shapes or any(
            one.startswith(shape.removesuffix("...").rstrip(" #.")) for one in shapes
        )
    return shape in shapes


def test_the_programs_and_commands_are_those_that_are_shown(walks: list[Walk]) -> None:
    shown = [(title, [shape_of(name) for name, _ in steps]) for title, steps in shown_walks()]
    made = [(walk.program, [shape_of(step.command) for step in walk.steps]) for walk in walks]
    assert shown == made


def test_every_command_succeeds(walks: list[Walk]) -> None:
    failed = [step for walk in walks for step in walk.steps if step.status]
    assert not failed


def test_every_line_that_is_shown_is_one_that_is_printed(walks: list[Walk]) -> None:
    for (_, steps), walk in zip(shown_walks(), walks, strict=True):
        for (command, lines), step in zip(steps, walk.steps, strict=True):
            shapes = {shape_of(line) for line in step.output.split("\n")}
            wrong = [line for line in lines if line != "..." and not fits(line, shapes)]
            assert not wrong, f"{command}: the page shows {wrong}, and now it is {shapes}"


def test_nothing_of_this_machine_is_shown(walks: list[Walk]) -> None:
    text = _transcript.render(walks)
    assert str(ROOT) not in text
    assert "site-packages" not in text
    assert SHOWN.count("(/") == SHOWN.count(" /") == 0


def test_a_format_that_changes_is_noticed() -> None:
    """What the comparison above would pass if shapes were too coarse."""
    line = "Process 7, freezer 'default': healthy. 3 threads stopped within 2.5 ms."
    shapes = {shape_of(line)}
    assert fits(line.replace("7", "4711").replace("2.5 ms", "1.2 s"), shapes)
    assert not fits(line.replace("healthy", "well"), shapes)
    assert not fits(line.replace(", freezer 'default'", ""), shapes)
    assert not fits("worker [ident 7]: FROZEN", {shape_of("worker (ident 7, native 8): FROZEN")})


def test_long_outputs_and_lines_are_cut() -> None:
    step = Step("freezethreads ps", 0, "\n".join(["x" * 500] * 50))
    lines = _transcript.render([Walk("a program", [step])]).split("\n")
    assert len(lines) < 20
    assert max(map(len, lines)) <= _transcript.WIDEST

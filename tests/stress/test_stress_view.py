"""What ``python -m stress`` shows while it runs: rows of any width, and a live view."""

from __future__ import annotations

import io
import re
import shlex
import sys
from collections.abc import Callable

import pytest
from rich.console import Console
from rich.live import Live

from freezethreads.testing import Plan, Progress
from stress import _view
from stress._cli import make_parser
from stress._rows import COLUMNS, again, at_most, columns_in, foot, row, short, titles
from stress._view import Lines, Screen, View, view
from stress_results import HISTOGRAM, crashed, failed, passed

PROGRESS = Progress("bank", 12.4, 100, 200, 4000, {"RUNNING": 5, "FROZEN": 3})


class Clock:
    """The time, which stands still unless told to go on."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(_view, "monotonic", clock)
    return clock


def play(shown: View) -> None:
    """A run of two scenarios, of which the second one fails."""
    shown.begin("seed abc, 3 threads", 10.0)
    shown.progress(PROGRESS)
    shown.result(passed(), None)
    shown.result(failed(), "file.py")
    shown.end("1 of 2 scenarios FAILED: torn")


# Rows.


def test_a_row_fits_the_width() -> None:
    for width in range(33, 125):
        columns = columns_in(width)
        ended = passed(interrupted=True)
        for line in (titles(columns), row(ended, columns), row(failed("x" * 15), columns)):
            assert len(line) <= width


def test_columns_are_left_out_one_after_the_other() -> None:
    seen = [len(columns_in(width)) for width in range(150)]
    assert seen == sorted(seen)
    assert set(seen) == set(range(2, len(COLUMNS) + 1))
    assert titles(columns_in(0)).split() == ["scenario", "verdict"]


def test_a_row_has_the_numbers_of_the_run() -> None:
    assert row(passed()).split("  ") != row(failed()).split("  ")
    words = ["bank", "2.00", "700 us", "50.0", "977 us", "10 ms", "200", "21", "1500", "1", "ok"]
    assert re.split(r" {2,}", row(passed())) == words
    assert row(crashed()).split()[-2:] == ["0", "FAILED"]


def test_a_share_of_a_histogram() -> None:
    assert at_most(HISTOGRAM, 0.5) == 2.0**-10
    assert at_most(HISTOGRAM, 0.61) == at_most(HISTOGRAM, 0.99) == 2.0**-8
    assert at_most(HISTOGRAM, 1.0) == 0.01, "not the bucket's bound, but the worst"
    assert at_most({}, 0.5) == 0.0


def test_durations_are_short() -> None:
    assert [short(each) for each in (0.0, 2.5e-5, 0.0123, 1.0)] == [
        "0 us",
        "25 us",
        "12.3 ms",
        "1 s",
    ]


@pytest.mark.parametrize("load", [None, "a file's.py"])
@pytest.mark.parametrize("interval", [None, 0.0007])
def test_the_line_to_have_it_again_is_understood(load: str | None, interval: float | None) -> None:
    chosen = Plan("abc", switch_interval=interval).interval_of("bank")
    words = shlex.split(again(passed(switch_interval=chosen), load))
    assert words[:3] == ["python", "-m", "stress"]
    options = make_parser().parse_args(words[3:])
    assert (options.load, options.scenario) == (load, ["bank"])
    assert (options.seed, options.threads) == ("abc", 3)
    assert options.python_switch_interval == interval


def test_the_verdict_on_all() -> None:
    assert (
        foot([passed(), passed()], 2)
        == "all 2 scenarios passed: 200 freezes stood, 400 checks held"
    )
    assert foot([passed()], 2).startswith("interrupted in scenario 1 of 2, without a violation")
    assert foot([passed(), failed()], 3) == "1 of 2 scenarios FAILED: torn"


# Lines.


def test_progress_is_a_line_now_and_then(capsys: pytest.CaptureFixture[str], clock: Clock) -> None:
    lines = Lines()
    lines.progress(PROGRESS)
    clock.now += _view.TELL_EVERY - 0.1
    lines.progress(PROGRESS)
    assert capsys.readouterr().out == ""
    clock.now += 0.1
    lines.progress(PROGRESS)
    lines.progress(PROGRESS)
    text = "bank: 12 s left, 100 freezes, 200 checks, 4000 steps; threads: 3 frozen, 5 running\n"
    assert capsys.readouterr().out == text


def test_lines_tell_all(capsys: pytest.CaptureFixture[str]) -> None:
    play(Lines())
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert titles() in out.splitlines()
    assert row(passed()) in out.splitlines()
    assert "again: python -m stress --load file.py --scenario torn" in out
    assert out.endswith("1 of 2 scenarios FAILED: torn\n")


# The live view.


def drawn(width: int, script: Callable[[Screen], object]) -> list[str]:
    """All lines that `script` has drawn on a terminal so wide, also those that are gone again."""
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=width, height=40, color_system=None)
    with Live(console=console, auto_refresh=False, transient=True) as live:
        script(Screen(console, live, 16))
    text = re.sub(r"\x1b\[[?\d;]*[A-Za-z]", "", file.getvalue())
    return [line.rstrip() for line in re.split(r"[\r\n]", text)]


@pytest.mark.parametrize("width", [40, 80, 140])
def test_nothing_is_wider_than_the_terminal(width: int) -> None:
    lines = drawn(width, play)
    report = lines.index("==== torn: FAILED ====")
    assert max(len(line) for line in lines[:report]) <= width
    assert row(passed(), columns_in(width)) in lines[:report]
    assert f"again: {again(failed(), 'file.py')}" in lines[report:], "not wrapped: to be copied"
    assert "1 of 2 scenarios FAILED: torn" in lines


@pytest.mark.parametrize("width", [40, 80])
def test_the_live_view_shows_how_far_it_is(width: int, clock: Clock) -> None:
    def script(screen: Screen) -> None:
        screen.progress(PROGRESS)
        clock.now += 0.5
        screen.progress(Progress("bank", 11.9, 150, 300, 5000, {"RUNNING": 8}))

    lines = drawn(width, script)
    assert lines[:5] == [
        "scenario       bank, 1 of 16",
        "left           12 s",
        "freezes        100",
        "checks passed  200",
        "threads        3 frozen, 5 running",
    ]
    assert "freezes        150, 100/s now" in lines
    assert "threads        8 running" in lines


def test_freezes_a_second_are_those_of_late(clock: Clock) -> None:
    def script(screen: Screen) -> None:
        for freezes in (0, 1000, 1001, 1002, 1003):
            screen.progress(Progress("bank", 10, freezes, 0, 0, {}))
            clock.now += _view.RECENT / 2
        screen.result(passed(), None)
        screen.progress(Progress("pipeline", 10, 5, 0, 0, {}))

    lines = [line for line in drawn(80, script) if line.startswith("freezes")]
    rates = [line.partition(", ")[2] for line in lines]
    assert rates[:6] == ["", "1000/s now", "500/s now", "1/s now", "1/s now", ""]


def test_names_are_not_taken_for_colours() -> None:
    def script(screen: Screen) -> None:
        screen.progress(Progress("[red]x", 1, 0, 0, 0, {}))
        screen.end("[bold]y")

    lines = drawn(80, script)
    assert {line for line in lines if "of 16" in line} == {"scenario       [red]x, 1 of 16"}
    assert "[bold]y" in lines


# Which of the two.


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_what_is_piped_is_lines() -> None:
    with view(1) as shown:
        assert isinstance(shown, Lines)


def test_a_terminal_gets_the_live_view(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdout", Terminal())
    with view(1) as shown:
        assert isinstance(shown, Screen)


def test_a_terminal_that_cannot_go_back_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr(sys, "stdout", Terminal())
    with view(1) as shown:
        assert isinstance(shown, Lines)


def test_without_rich_one_line_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setitem(sys.modules, "rich.console", None)
    with view(1) as shown:
        assert isinstance(shown, Lines)
    assert capsys.readouterr().err == "no live view: pip install rich\n"

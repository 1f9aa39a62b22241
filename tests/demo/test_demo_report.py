"""What the demo shows: the table, the JSON, the bar on a terminal, and the picture."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import replace
from pathlib import Path
from signal import Signals

import pytest

from freezethreads.demo import Outcome, Result, View, check_plot, draw_plot, table_of
from freezethreads.demo._camera import Freeze
from freezethreads.demo._report import Spread

FREEZES = [Freeze(at=at, waited=at / 1e3, frozen=at / 1e2, saving=0.5) for at in range(1, 5)]


def make_outcome(*, frozen: bool = True, unfrozen: bool = True) -> Outcome:
    """As from a run over three documents, one of which the comparison did not get to."""
    outcome = Outcome("/root", "3.11.7", threads=8, every=0.5, documents=3)
    if frozen:
        outcome.freezing = Result(2.0, [0.5, 1.0, 2.0], 4, [], FREEZES, None)
    if unfrozen:
        outcome.no_freeze = Result(1.0, [0.4, 0.25], 2, ["a", "b"], [], Signals.SIGINT)
    return outcome


def test_the_table_has_both_runs_side_by_side() -> None:
    assert table_of(make_outcome()).splitlines() == [
        "                                      freezing   no freezing",
        "------------------------------------------------------------",
        "snapshots taken                              4             2",
        "torn                                         0             2",
        "time to stop, median                    2.5 ms             -",
        "time to stop, p99                       4.0 ms             -",
        "time to stop, worst                     4.0 ms             -",
        "time frozen, median                    25.0 ms             -",
        "time frozen, p99                       40.0 ms             -",
        "time frozen, worst                     40.0 ms             -",
        "time frozen, share of the run             5.0%             -",
        "files finished                               3             2",
        "files a second (the first 2)                 2             5",
    ]


@pytest.mark.parametrize("frozen", [True, False])
def test_the_table_of_one_run_has_one_column(frozen: bool) -> None:
    lines = table_of(make_outcome(frozen=frozen, unfrozen=not frozen)).splitlines()
    assert lines[0].split() == (["freezing"] if frozen else ["no", "freezing"])
    assert lines[2].split() == ["snapshots", "taken", "4" if frozen else "2"]


def test_a_run_too_short_for_a_snapshot_has_a_table_too() -> None:
    outcome = make_outcome(unfrozen=False)
    outcome.freezing = Result(0.1, [], 0, [], [], None)
    rows = table_of(outcome).splitlines()
    assert rows[4].split()[-1] == rows[-1].split()[-1] == "-"


def test_json_has_the_same() -> None:
    found = json.loads(json.dumps(make_outcome().as_json()))
    assert found["compared"] == 2
    assert found["freezing"]["files_per_second"] == 2.0
    assert found["freezing"]["time_to_stop"] == {"median": 0.0025, "p99": 0.004, "worst": 0.004}
    assert found["freezing"]["freezes"][1] == {
        "at": 2,
        "waited": 0.002,
        "frozen": 0.02,
        "saving": 0.5,
    }
    assert found["no_freeze"]["files_per_second"] == 5.0
    assert found["no_freeze"]["reasons"] == ["a", "b"]
    assert found["no_freeze"]["stopped_by"] == "SIGINT"
    assert found["no_freeze"]["time_frozen"] is None


def test_a_spread_has_the_nearest_ranks() -> None:
    assert Spread.of([]) is None
    assert Spread.of([3.0]) == Spread(3.0, 3.0, 3.0)
    assert Spread.of(range(200, 0, -1)) == Spread(100.5, 198, 200)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_bar_is_drawn_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    view = View()
    with view.bar("indexing", 1, 67) as show:
        show(33)
        view.say("a line")
    assert "indexing" in terminal.getvalue()
    assert "33/67" in terminal.getvalue()
    assert "0 s so far" in terminal.getvalue()
    assert capsys.readouterr().out == "a line\n"


def test_no_bar_is_drawn_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    with View().bar("indexing", 0, 67) as show:
        show(33)
    assert capsys.readouterr() == ("", "")


def test_without_rich_one_line_names_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setitem(sys.modules, "rich.console", None)
    with View().bar("indexing", 0, 67) as show:
        show(33)
    assert terminal.getvalue() == "no progress bar: pip install rich\n"


def test_a_quiet_view_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    view = View(quiet=True, verbose=True)
    view.say("a")
    view.detail("b")
    assert capsys.readouterr().out == ""
    View().detail("c")
    assert capsys.readouterr().out == ""
    View(verbose=True).detail("d")
    assert capsys.readouterr().out == "d\n"


@pytest.mark.parametrize("freezes", [FREEZES, FREEZES[:1], [Freeze(1.0, 0.0, 0.0, 0.0)]])
def test_a_picture_is_drawn(tmp_path: Path, freezes: list[Freeze]) -> None:
    file = tmp_path / "freezes.svg"
    assert check_plot(file) == ""
    draw_plot(file, freezes, 8)
    assert file.read_text().startswith("<?xml")


@pytest.mark.parametrize(
    ("scale", "title"),
    [
        (1.0, "4 freezes: 8 threads stopped in 2.5 ms and stood for 25 ms (medians)"),
        (100.0, "4 freezes: 8 threads stopped in 250 ms and stood for 2500 ms (medians)"),
    ],
)
def test_a_picture_says_what_it_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scale: float, title: str
) -> None:
    from matplotlib import rcParams

    monkeypatch.setitem(rcParams, "svg.fonttype", "none")  # as text, not as outlines
    slow = [replace(one, waited=one.waited * scale, frozen=one.frozen * scale) for one in FREEZES]
    draw_plot(tmp_path / "freezes.svg", slow, 8)
    drawn = (tmp_path / "freezes.svg").read_text()
    for text in (title, "time to stop", "time frozen", "seconds since the start"):
        assert f">{text}</text>" in drawn


def test_a_picture_that_cannot_be_drawn_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert check_plot(tmp_path / "nowhere" / "a.png").endswith("nowhere is no directory")
    assert check_plot(tmp_path) == "it is a directory; name a file"
    assert "must end in one of" in check_plot(tmp_path / "a.txt")
    assert "must end in one of" in check_plot(tmp_path / "a")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert "pip install matplotlib" in check_plot(tmp_path / "a.png")

"""``python -m stress --html``: what is on the page, and that it needs nothing else."""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from freezethreads.testing import Result
from stress._cli import main
from stress._drawing import Drawing, coarsened
from stress._lanes import Stretch, worst_freeze
from stress._page import Chart, page_of
from stress._rows import foot
from stress_results import HISTOGRAM, WORST, crashed, failed, passed

VOID = {"br", "meta"}


class Page(HTMLParser):
    """A page, taken apart: the text outside of script and style, and each element's attributes."""

    def __init__(self, *results: Result) -> None:
        super().__init__()
        self.source = page_of(results, "what", foot(results, len(results)), "my file.py")
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(self.source)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.words.append(data)

    def all(self, tag: str, of_class: str = "") -> list[dict[str, str | None]]:
        return [
            attributes
            for name, attributes in self.elements
            if name == tag and of_class in (attributes.get("class") or "")
        ]


@pytest.fixture(scope="module")
def page() -> Page:
    """One that has everything."""
    return Page(passed(), failed(), crashed())


def opened(page: Page) -> dict[str | None, bool]:
    return {each["id"]: "open" in each for each in page.all("details", "sheet")}


def test_elements_are_closed_and_names_unique(page: Page) -> None:
    assert page.open == []
    names = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(set(names)) == len(names)


def test_it_needs_nothing_else(page: Page) -> None:
    for tag, attributes in page.elements:
        assert tag not in ("link", "img", "iframe", "object")
        assert "src" not in attributes
        assert (attributes.get("href") or "#").startswith("#")
    assert set(re.findall(r"url\(([^)]*)\)", page.source)) == {"#hatch"}
    assert "@import" not in page.source
    assert "http" not in page.source


def test_what_results_say_is_text_and_no_markup() -> None:
    bad = "<script>alert('&')</script>"
    finding = {"what": bad, "who": bad, "at": 0.1, "trace": bad}
    page = Page(failed(bad, findings=[finding], output=bad, stacks={bad: bad}, seed=bad))
    assert len(page.all("script")) == 1
    assert page.text.count(bad) > 5


def test_the_verdicts_are_there(page: Page) -> None:
    assert "2 of 3 scenarios FAILED: torn, crashing" in page.text
    assert "bank ✓ ok" in page.text
    assert "torn ✗ FAILED" in page.text
    assert "a pair is torn: 1 < 2" in page.text
    assert "boss, 0.600 s after the beginning" in page.text
    assert "Traceback ..." in page.text
    assert "<last words>" in page.text


def test_it_says_how_to_run_one_again(page: Page) -> None:
    words = "python -m stress --load 'my file.py' --scenario torn --seed abc --threads 3"
    assert f"{words} --python-switch-interval 0.0007" in page.text


def test_numbers_are_those_of_the_run(page: Page) -> None:
    for words in ("freezes/s 50", "safepoints/s 1,500", "steps/s 21", "checks 200", "timed out 1"):
        assert words in page.text
    assert "99 safepoint done work, bank.py:7" in page.text
    assert "late was the last, after 9 ms" in page.text


def test_of_many_only_those_that_failed_are_open(page: Page) -> None:
    assert opened(page) == {"bank": False, "torn": True, "crashing": True}
    assert opened(Page(passed(), passed("pipeline"))) == {"bank": True, "pipeline": True}


def test_if_none_failed_the_slowest_freeze_is_open() -> None:
    slow = passed("slow")
    slow.statistics["time_to_stop"] = {**HISTOGRAM, "worst": 9.0}
    page = Page(passed(), slow, passed("pipeline"))
    assert opened(page) == {"bank": False, "slow": True, "pipeline": False}


def test_an_interrupted_run_has_a_page() -> None:
    page = Page(passed(interrupted=True, worst=None, recent=[], statistics={}))
    assert "ok, interrupted" in page.text


def test_bars_are_as_long_as_the_counts() -> None:
    bars = Chart(HISTOGRAM).bars
    assert [bar.count for bar in bars] == [60, 0, 39, 0, 1]
    assert [round(bar.percent) for bar in bars] == [100, 0, 65, 0, 2]
    assert [bar.marks for bar in bars] == [["median"], [], ["p99"], [], ["max"]]
    assert [bar.below for bar in bars] == [2.0**-10, 2.0**-9, 2.0**-8, 2.0**-7, 2.0**-6]
    assert all(bar.above == bar.below / 2 for bar in bars)


def test_a_histogram_of_nothing_has_no_bars() -> None:
    assert Chart({}).bars == []


def drawing_of(result: Result) -> Drawing:
    picture = worst_freeze(result)
    assert picture is not None
    return Drawing(picture)


def test_a_drawing_has_one_lane_for_each_thread() -> None:
    drawing = drawing_of(passed())
    assert [name for name, _, _ in drawing.lanes] == ["boss", "waiter", "door", "dark", "late"]
    assert list(drawing.kinds) == ["running", "blocking", "waiting", "parked", "todo"]
    for _, bars, marks in drawing.lanes:
        assert all(bar.x >= 0 and bar.x + bar.width < 100.001 for bar in bars)
        assert all(0 <= mark.x <= 100 for mark in marks)
    assert "late: parked done\n+9 ms to +32 ms (23 ms)" in [bar.text for bar in drawing.lanes[4][1]]
    assert drawing.lanes[4][2][0].text == "late:\n\N{MINUS SIGN}800 \N{MICRO SIGN}s noted <here>"


def test_ticks_are_at_round_times_and_finer_the_wider_it_is() -> None:
    drawing = drawing_of(passed())
    assert drawing.unit == "ms"
    zero = drawing.lines[0].x
    assert [tick.x for tick in drawing.ticks if tick.text == "0"] == [pytest.approx(zero)]
    texts = [tick.text for tick in drawing.ticks if tick.zoom == 1]
    assert texts == ["0", "10", "20", "30"]
    assert [tick.text for tick in drawing.ticks if tick.zoom <= 4][2:5] == ["5", "10", "15"]


def test_moments_at_one_place_share_a_mark() -> None:
    many = [[1000.5001 + i * 1e-6, "noted", str(i)] for i in range(20)]
    drawing = drawing_of(passed(worst={**WORST, "lanes": {"late": many}}))
    (mark,) = (mark for _, _, marks in drawing.lanes for mark in marks)
    assert mark.text.endswith("\nand 13 more")
    assert mark.text.count("\n") == 8


def test_stretches_too_short_to_be_seen_become_one() -> None:
    short = [Stretch(i / 10, (i + 1) / 10, ("running", "parked")[i % 2], "") for i in range(10)]
    stretches = [Stretch(-5, 0, "parked", ""), *short, Stretch(1, 5, "parked", "")]
    first, several, last = coarsened(stretches, 0.2)
    assert (first, last) == (stretches[0], stretches[-1])
    assert (several.begin, several.end, several.kind) == (0, 1, "several")
    assert several.detail == "(10 stretches: 50% running, 50% parked)"
    assert coarsened(stretches, 0.05) == stretches
    apart = [Stretch(0, 0.1, "todo", ""), Stretch(0.2, 0.3, "todo", "")]
    assert coarsened(apart, 0.2) == apart


# The command line.


@pytest.mark.parametrize("option", ["--html", "--trace", "--json"])
def test_a_file_that_cannot_be_written_is_noticed_before(
    option: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for file, problem in (tmp_path, "is a directory"), (tmp_path / "no" / "file", "no directory"):
        with pytest.raises(SystemExit) as caught:
            main([option, str(file), "--seconds", "0.1"])
        assert caught.value.code == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith(f"python -m stress: {option} {file}: ")
        assert problem in err
        assert err.count("\n") == 1


def test_without_jinja2_one_line_names_the_extra(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(SystemExit) as caught:
        main(["--html", str(tmp_path / "page.html"), "--seconds", "0.1"])
    assert caught.value.code == 2
    words = "--html needs jinja2: pip install jinja2"
    assert capsys.readouterr() == ("", f"python -m stress: {words}\n")


def test_all_files_are_written(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stress._cli.run_job", lambda *_: passed())
    page, trace, data = (tmp_path / name for name in ("html", "trace", "json"))
    options = [f"--{option}={tmp_path / option}" for option in ("html", "trace", "json")]
    assert main(["--scenario", "bank", "--seed", "abc", "--threads", "3", *options]) == 0
    assert "the scenario passed" in page.read_text()
    assert "seed abc, 3 threads" in page.read_text()
    assert trace.read_text().startswith('{"displayTimeUnit"')
    assert data.read_text().startswith('{\n "seed": "abc"')
    assert "bank" in capsys.readouterr().out


def test_a_page_of_mutants_is_not_to_be_had(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--mutants", "--html", "page.html", "--seconds", "0.1"])
    assert caught.value.code == 2
    assert "with --mutants there is --json" in capsys.readouterr().err

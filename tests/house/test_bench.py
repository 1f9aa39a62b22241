"""The benchmark measures every row that the design asks for. How fast anything is, is no test."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

import _bench
from benchmarks import programs, report, scale, workloads
from benchmarks.arrivals import (
    Turn,
    flag_turns,
    freeze_turns,
    slowest,
    take_turns,
    unprepared_turns,
)
from benchmarks.crowds import ring
from benchmarks.rows import Group, Result, Row, Sample, Scale, measure, select
from helpers import ROOT, WAIT

# The design's table of costs: what is measured, what it must be at most, what it is to be.
LIMITS = {
    "safepoint() of the module, nothing asked": (1.5, 1.2),
    "freezer.safepoint(), nothing asked": (2.2, 1.4),
    "if freezer.armed: inline": (1.1, 1.0),
    "blocking region, no freeze": (6, 3),
    "freeze of one running thread, p50": (2, 1.2),
    "freeze of 8 running threads, p50": (2, 1.2),
    "freeze of 64 running threads, p50": (2, 1.2),
    "freeze of one running thread, p99": (2, 1.2),
    "freeze of 8 running threads, p99": (2, 1.2),
    "freeze of 64 running threads, p99": (2, 1.2),
    "freeze of one running thread, against hand-overs": (None, 1.0),
    "freeze of 8 running threads, against hand-overs": (None, 1.0),
    "freeze of 64 running threads, against hand-overs": (None, 1.0),
    "freeze of 1000 blocked threads": (0.2, 0.05),
    "thaw() seen by the controller, 1000 threads": (0.5, 0.05),
    "last of 1000 running again after the thaw, waiting between safepoints": (1.5, 1.0),
    "a registered thread, bytes": (3, 1),
    "dump of a process with 200 threads": (3, 2),
    "control socket: list of 1000 threads, per thread": (2, 1),
    **{
        f"{call} of {size} blocked threads, per thread": (2, 1)
        for call in scale.CALLS
        for size in (1000, 10_000)
    },
}
if sys.version_info >= (3, 12):
    LIMITS |= {
        f"hot functions marked {kind}, {when}": (1.02, 1.01)
        for kind in ("atomic", "freezable")
        for when in ("before any freeze", "between freezes")
    }
ALTERNATIVES = (
    "Event and counting Condition",
    "threading.Barrier",
    "fasteners ReaderWriterLock",
    "readerwriterlock RWLockFair",
    "readerwriterlock RWLockRead",
    "readerwriterlock RWLockWrite",
)
# Before CPython 3.12 nothing stops threads that nobody prepared.
SIDES = [flag_turns, freeze_turns, *([unprepared_turns] if sys.version_info >= (3, 12) else [])]


def run_bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the benchmark as its script does once its environment is there."""
    return subprocess.run(
        [sys.executable, str(ROOT / "tools" / "_bench.py"), *arguments],
        capture_output=True,
        text=True,
        timeout=150,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        check=False,
    )


# A run that measures a thousand threads beside whatever else is busy.
pytestmark = pytest.mark.timeout(200)


@pytest.fixture(scope="module")
def quick_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Any]]:
    """The table and the JSON of one quick run with everything in it."""
    path = tmp_path_factory.mktemp("bench") / "bench.json"
    result = run_bench("--quick", "--json", str(path))
    assert result.returncode == 0, result.stderr
    assert not result.stderr
    return result.stdout, json.loads(path.read_text())


def test_measures_every_row_of_the_design(quick_run: tuple[str, dict[str, Any]]) -> None:
    _, data = quick_run
    limits = {row["name"]: (row["must"], row["aim"]) for row in data["rows"]}
    assert {name: limits.get(name) for name in LIMITS} == LIMITS


def test_measures_what_a_program_might_use_instead(
    quick_run: tuple[str, dict[str, Any]],
) -> None:
    _, data = quick_run
    names = {row["name"] for row in data["rows"]}
    for name in ALTERNATIVES:
        assert {
            f"{name}: idle check",
            f"{name}: stop 8 running",
            f"{name}: stop 64 running",
        } <= names
        assert {f"{name}: until all {size} run again" for size in (8, 64)} <= names


def test_prints_every_row(quick_run: tuple[str, dict[str, Any]]) -> None:
    table, data = quick_run
    lines = table.splitlines()
    for row in data["rows"]:
        assert any(line.startswith(row["name"]) for line in lines)


def test_gives_all_rounds_and_says_where_it_ran(quick_run: tuple[str, dict[str, Any]]) -> None:
    _, data = quick_run
    environment = data["environment"]
    assert environment["python"] == sys.version.split()[0]
    assert environment["quick"] is True
    assert {"build", "gil", "free_threaded", "cores"} <= environment.keys()
    for row in data["rows"]:
        sides = row["what_by_round"], row["against_by_round"], row["ratio_by_round"]
        assert {len(side) for side in sides} == {1}, row["name"]


def test_quick_run_says_that_it_means_nothing(quick_run: tuple[str, dict[str, Any]]) -> None:
    table, _ = quick_run
    assert "mean nothing" in table


def test_json_alone_goes_to_the_output() -> None:
    result = run_bench("--quick", "--only", "bytes", "--json", "-")
    assert [row["name"] for row in json.loads(result.stdout)["rows"]] == [
        "a registered thread, bytes"
    ]
    assert "a registered thread" in result.stderr


def test_times_whole_programs_in_each_way() -> None:
    result = run_bench("--programs", "--quick", "--only", "lock loop", "--json", "-")
    assert result.returncode == 0, result.stderr
    assert [row["name"] for row in json.loads(result.stdout)["rows"]] == [
        f"lock loop, 4 threads {kind}" for kind in list(programs.KINDS)[1:]
    ]


@pytest.mark.parametrize("name", workloads.WORKLOADS)
def test_each_program_does_what_it_is_to(name: str) -> None:
    program, _ = workloads.WORKLOADS[name]
    program(24)


def test_a_program_that_fails_is_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "_SCRIPT", str(ROOT / "no_such_file.py"))
    group = programs.GROUPS[0]
    with pytest.raises(RuntimeError, match="ended in the middle of 'queue, 4"):
        next(measure([group], Scale(tiny=True)))


def written(file: Path, results: Sequence[Result], **facts: object) -> Path:
    """What --json writes of a run with these results."""
    environment = report.facts(Scale()) | facts
    file.write_text(json.dumps(report.as_json(environment, results)))
    return file


def test_says_what_was_lost_since_an_earlier_run(tmp_path: Path) -> None:
    rows = [Row(name, "what", "against") for name in ("same", "worse", "better", "hung", "new")]
    old = [Result(row, [10.0], [1.0]) for row in rows[:-1]]
    file = written(tmp_path / "before.json", old)
    ratios = (10.5, 10.6, 1.0, math.inf, 99.0)
    now = [Result(row, [ratio], [1.0]) for row, ratio in zip(rows, ratios, strict=True)]
    assert report.lost(report.read(str(file)), now) == [
        "worse: 10 before, 10.6 now (+6%)",
        "hung: 10 before, gave up now (gave up)",
    ]


def test_the_status_tells_whether_anything_was_lost(tmp_path: Path) -> None:
    file = tmp_path / "before.json"
    for ratio, status, said in (1e-9, 1, "before, "), (1e9, 0, "no row lost more than 5 %"):
        row = Row("a registered thread, bytes", "what", "against")
        written(file, [Result(row, [ratio], [1.0])])
        result = run_bench("--quick", "--only", "bytes", "--compare", str(file))
        assert result.returncode == status, result.stderr
        assert said in result.stdout


def test_a_table_for_the_site(tmp_path: Path) -> None:
    one, two = (Row(name, "what", "against") for name in ("one", "two"))
    first = [Result(one, [1.0, 2.0, 3.0], [1.0, 1.0, 1.0])]
    second = [Result(one, [4.0], [1.0]), Result(two, [5.0], [2.0])]
    files = [
        written(tmp_path / "1.json", first, python="3.13.0", gil=True),
        written(tmp_path / "2.json", second, python="3.14.1", gil=False),
    ]
    result = run_bench("--table", *map(str, files))
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == [
        "| what | CPython 3.13.0 | CPython 3.14.1 without GIL |",
        "|---|---|---|",
        "| one | 2 (1.5 .. 2.5) | 4 (4 .. 4) |",
        "| two |  | 2.5 (2.5 .. 2.5) |",
    ]


@pytest.mark.parametrize("option", ["--compare", "--table"])
@pytest.mark.parametrize("text", [None, "no JSON", "[]", '{"rows": [3]}'])
def test_what_it_cannot_compare_with_it_refuses_before_it_measures(
    tmp_path: Path, text: str | None, option: str
) -> None:
    file = tmp_path / "before.json"
    if text is not None:
        file.write_text(text)
    result = run_bench("--quick", option, str(file))
    assert result.returncode == 1
    assert not result.stdout
    assert "not what --json writes" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "no such row"], "no row has no such row in its name"),
        (["--rounds", "0"], "--rounds takes a number from 1 on"),
    ],
)
def test_refuses_what_makes_no_sense(arguments: list[str], message: str) -> None:
    result = run_bench(*arguments)
    assert result.returncode != 0
    assert message in result.stderr


def result_of(
    what: Sequence[float], against: Sequence[float], must: float | None = 2, aim: float | None = 1
) -> Result:
    return Result(Row("name", "what", "against", must, aim), what, against)


def test_value_is_the_median_of_the_ratios_and_not_the_ratio_of_medians() -> None:
    result = result_of([1, 20, 9], [1, 10, 3])
    assert result.ratios == [1, 2, 3]
    assert result.ratio == 2
    assert result.quartiles == (1.5, 2.5)


@pytest.mark.parametrize(
    ("what", "verdict"),
    [
        (1.0, "met, aim too"),
        (1.01, "met, aim MISSED"),
        (2.0, "met, aim MISSED"),
        (2.01, "must MISSED"),
        (math.inf, "must MISSED"),
    ],
)
def test_says_what_is_missed(what: float, verdict: str) -> None:
    assert report.verdict(result_of([what], [1.0])) == verdict


def test_row_without_limits_is_not_judged() -> None:
    assert report.verdict(result_of([100], [1], None, None)) == "(information)"


def test_what_was_given_up_is_no_number_in_json() -> None:
    (row,) = report.as_json({}, [result_of([math.inf], [1.0])])["rows"]
    assert row["ratio"] is None
    assert row["what_by_round"] == [None]
    json.dumps(row, allow_nan=False)


def test_every_round_samples_all_in_turns_and_the_first_does_not_count() -> None:
    order: list[str] = []

    def sample(name: str) -> Sample:
        def take() -> dict[str, float]:
            order.append(name)
            return {name: float(len(order))}

        return take

    @contextmanager
    def prepare(_: Scale) -> Iterator[Sequence[Sample]]:
        yield [sample("a"), sample("b")]

    (result,) = measure([Group((Row("row", "a", "b"),), prepare)], Scale(rounds=2))
    assert order == ["b", "a", "a", "b", "b", "a"]
    assert (result.what, result.against) == ([3.0, 6.0], [4.0, 5.0])


def test_select_keeps_the_rows_that_are_named() -> None:
    groups = select(_bench.GROUPS, ["blocking region, no", "of 8 running threads"])
    names = [row.name for group in groups for row in group.rows]
    assert names[:2] == ["blocking region, no freeze", "freeze of 8 running threads, p50"]
    assert select(_bench.GROUPS, []) == list(_bench.GROUPS)


def test_two_sides_take_turns_and_give_their_medians_and_slowest() -> None:
    order: list[str] = []

    def side(name: str) -> Callable[[], dict[str, float]]:
        def turn() -> dict[str, float]:
            order.append(name)
            return {name: float(len(order))}

        return turn

    assert take_turns([side("a"), side("b")], 3) == {
        "a": 3.0,
        "a, p99": 6.0,
        "b": 4.0,
        "b, p99": 5.0,
    }
    assert order == ["b", "a", "a", "b", "b", "a"]


@pytest.mark.parametrize(("count", "rank"), [(1, 1), (4, 4), (100, 99), (150, 149)])
def test_the_slowest_are_one_in_a_hundred(count: int, rank: int) -> None:
    assert slowest(range(1, count + 1)) == rank


@pytest.mark.parametrize("side", SIDES)
def test_the_same_threads_are_stopped_again_and_again(
    side: Callable[[int], AbstractContextManager[Turn]],
) -> None:
    with side(3) as turn:
        for _ in range(3):
            assert all(0 < seconds < WAIT for seconds in turn().values())


@pytest.mark.parametrize("size", [1, 2, 5])
def test_ring_counts_its_hand_overs(size: int) -> None:
    with ring(size) as measure_ring:
        assert 0 < measure_ring() < WAIT


def test_script_and_package_are_where_they_are_looked_for() -> None:
    script = Path(ROOT, "tools", "bench")
    assert script.stat().st_mode & 0o111

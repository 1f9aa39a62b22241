"""Words and numbers for people: the table of results, the verdicts, and how to have it again."""

from __future__ import annotations

import platform
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from freezethreads.testing import Plan, Progress, Result

HOW_TO_READ = """\
Each row is one scenario, in a process of its own. It has passed if every check held: the scenario's
invariant, in each frozen world, once when all stand and once shortly before the thaw; that nobody
moved in between; that every thread went on, in all {patience:g} s; and that all of them, and the
process, came to their end. A scenario in which no freeze stood or some thread did nothing fails."""

MEANINGS = (
    ("freezes/s", "freezes that stood"),
    ("stop, worst", "time until all stood: half of them took at most this, and the worst one"),
    ("checks", "invariants that were checked, and held"),
    ("steps/s", "pieces of work done by all threads"),
    ("safepoints/s", "safepoints passed (-: not counted)"),
    ("timed out", "freezes given up, which is no fault where the scenario holds threads back"),
)


@dataclass(frozen=True)
class Column:
    """One column. Where there is not enough room, those with the highest ``rank`` are left out."""

    title: str
    width: int
    rank: int
    text: Callable[[Result], str]

    def cell(self, text: str) -> str:
        """`text`, aligned as the column is: words to the left, numbers to the right."""
        return f"{text:<{-self.width}}" if self.width < 0 else f"{text:>{self.width}}"


COLUMNS = (
    Column("scenario", -16, 0, lambda result: result.scenario),
    Column("seconds", 8, 5, lambda result: f"{result.seconds:.2f}"),
    Column("switch", 8, 9, lambda result: short(result.switch_interval)),
    Column("freezes/s", 10, 1, lambda result: f"{per_second(result, result.freezes):.1f}"),
    Column("stop", 9, 4, lambda result: short(at_most(_time_to_stop(result), 0.5))),
    Column("worst", 9, 2, lambda result: short(_time_to_stop(result).get("worst", 0.0))),
    Column("checks", 8, 3, lambda result: str(result.checks)),
    Column("steps/s", 9, 6, lambda result: f"{per_second(result, result.all_steps):.0f}"),
    Column("safepoints/s", 13, 7, lambda result: safepoints(result)),
    Column("timed out", 10, 8, lambda result: str(result.timeouts)),
    Column("  verdict", -17, 0, lambda result: f"  {verdict(result)}"),
)


def columns_in(width: int) -> tuple[Column, ...]:
    """The columns for which `width` letters are enough, two at least."""
    for rank in sorted({column.rank for column in COLUMNS}, reverse=True):
        columns = tuple(column for column in COLUMNS if column.rank <= rank)
        if sum(abs(column.width) for column in columns) <= width:
            break
    return columns


def titles(columns: Sequence[Column] = COLUMNS) -> str:
    """The table's first line."""
    return "".join(column.cell(column.title) for column in columns).rstrip()


def row(result: Result, columns: Sequence[Column] = COLUMNS) -> str:
    """One scenario's line of the table."""
    return "".join(column.cell(column.text(result)) for column in columns).rstrip()


def what_runs(seed: str, threads: int, seconds: float) -> str:
    """What is going to happen."""
    return f"seed {seed}, {threads} threads, {seconds:g} s shared out, {interpreter()}"


def interpreter() -> str:
    """What runs this."""
    gil = getattr(sys, "_is_gil_enabled", lambda: True)()
    return f"CPython {platform.python_version()} {'with' if gil else 'without'} the GIL"


def verdict(result: Result) -> str:
    """One or two words."""
    if not result.passed:
        return "HUNG" if result.hung else "FAILED"
    return "ok, interrupted" if result.interrupted else "ok"


def again(result: Result, load: str | None) -> str:
    """The command line that makes the same choices; which thread comes first may differ.

    `load` is the file that the scenario came from; None: it comes with the runner.
    """
    words = ["python", "-m", "stress"]
    words += [] if load is None else ["--load", load]
    words += ["--scenario", result.scenario, "--seed", result.seed]
    words += ["--threads", str(result.threads)]
    if result.switch_interval != Plan(result.seed).interval_of(result.scenario):
        words += ["--python-switch-interval", f"{result.switch_interval:g}"]
    return shlex.join(words)


def report(result: Result, load: str | None) -> str:
    """All that is known of a scenario that has failed, and how to have it again."""
    title = f"==== {result.scenario}: {verdict(result)} ===="
    return f"\n{title}\n{result}\nagain: {again(result, load)}\n"


def foot(results: Sequence[Result], of: int) -> str:
    """The verdict on all that were run, `of` so many that were to be."""
    failed = [result.scenario for result in results if not result.passed]
    if failed:
        return f"{len(failed)} of {len(results)} scenarios FAILED: {', '.join(failed)}"
    freezes = sum(result.freezes for result in results)
    checks = sum(result.checks for result in results)
    sums = f"{freezes} freezes stood, {checks} checks held"
    if len(results) < of or results[-1].interrupted:
        return f"interrupted in scenario {len(results)} of {of}, without a violation so far: {sums}"
    return f"all {of} scenarios passed: {sums}" if of > 1 else f"the scenario passed: {sums}"


def states(progress: Progress) -> str:
    """How many threads are in which state."""
    counts = (f"{count} {state.lower()}" for state, count in sorted(progress.states.items()))
    return ", ".join(counts) or "none"


def per_second(result: Result, count: int) -> float:
    """`count` things in the time that the run took."""
    return count / (result.seconds or 1.0)


def safepoints(result: Result) -> str:
    """Safepoints passed a second."""
    if result.safepoints is None:
        return "-"
    return f"{per_second(result, result.safepoints):.0f}"


def at_most(histogram: dict[str, Any], share: float) -> float:
    """Seconds that `share` of a histogram's durations did not exceed, as its buckets tell."""
    worst = float(histogram.get("worst", 0.0))
    left = float(share * histogram.get("count", 0))
    for bound, count in histogram.get("buckets", ()):
        left -= count
        if left <= 0:
            return min(float(bound), worst)
    return worst


def short(seconds: float) -> str:
    """A duration in four letters or so."""
    for unit, name in ((1.0, "s"), (1e-3, "ms")):
        if seconds >= unit:
            return f"{seconds / unit:.3g} {name}"
    return f"{seconds / 1e-6:.3g} us"


def _time_to_stop(result: Result) -> dict[str, Any]:
    histogram: dict[str, Any] = result.statistics.get("time_to_stop", {})
    return histogram

"""What a person sees while the scenarios run, and the verdict at the end."""

from __future__ import annotations

import platform
import sys
from typing import Any

from freezethreads.testing import Progress, Result

HOW_TO_READ = """\
Each row is one scenario, in a process of its own. It has passed if every check held: the scenario's
invariant, in each frozen world, once when all stand and once shortly before the thaw; that nobody
moved in between; that every thread went on, in all {patience:g} s; and that all of them, and the
process, came to their end. A scenario in which no freeze stood, or some thread did nothing, fails.
  freezes/s     freezes that stood          stop           seconds until all stood, middle and worst
  steps/s       pieces of work done         safepoints/s   safepoints passed (-: not counted)
  timed out     freezes given up, which is no fault where the scenario holds threads back"""

COLUMNS = (
    f"{'scenario':<16}{'seconds':>8}{'switch':>8}{'freezes/s':>10}{'stop':>9}{'worst':>9}{'checks':>8}"
    f"{'steps/s':>9}{'safepoints/s':>13}{'timed out':>10}  verdict"
)


def head(seed: str, threads: int, seconds: float, patience: float) -> str:
    """What is going to happen, and how to read what comes."""
    line = f"seed {seed}, {threads} threads, {seconds:g} s in all, {interpreter()}"
    return "\n".join([line, "", HOW_TO_READ.format(patience=patience), "", COLUMNS])


def interpreter() -> str:
    """What runs this."""
    gil = getattr(sys, "_is_gil_enabled", lambda: True)()
    return f"CPython {platform.python_version()} {'with' if gil else 'without'} the GIL"


def row(result: Result) -> str:
    """One scenario's line of the table."""
    seconds = result.seconds or 1.0
    stop = result.statistics.get("time_to_stop", {})
    middle, worst = _short(_middle_of(stop)), _short(stop.get("worst", 0.0))
    passed = "-" if result.safepoints is None else f"{result.safepoints / seconds:.0f}"
    return (
        f"{result.scenario:<16}{result.seconds:>8.2f}{_short(result.switch_interval):>8}"
        f"{result.freezes / seconds:>10.1f}{middle:>9}{worst:>9}"
        f"{result.checks:>8}{result.all_steps / seconds:>9.0f}{passed:>13}{result.timeouts:>10}"
        f"  {verdict(result)}"
    )


def verdict(result: Result) -> str:
    """One or two words."""
    if not result.passed:
        return "HUNG" if result.hung else "FAILED"
    return "ok, interrupted" if result.interrupted else "ok"


def progress_line(progress: Progress) -> str:
    """How far a scenario is."""
    states = ", ".join(f"{count} {state.lower()}" for state, count in progress.states.items())
    return (
        f"{progress.scenario}: {progress.left:.0f} s left, {progress.freezes} freezes, "
        f"{progress.checks} checks, {progress.steps} steps; threads: {states or 'none'}"
    )


def report(result: Result, load: str | None) -> str:
    """All that is known of a scenario that has failed, and how to have it again."""
    again = f"--scenario {result.scenario} --seed {result.seed} --threads {result.threads}"
    if load is not None:
        again = f"--load {load} {again}"
    return f"\n==== {result.scenario}: {verdict(result)} ====\n{result}\nagain: {again}\n"


def foot(results: list[Result], of: int) -> str:
    """The verdict on all that were run, `of` so many that were to be."""
    failed = [result.scenario for result in results if not result.passed]
    if failed:
        return f"{len(failed)} of {len(results)} scenarios FAILED: {', '.join(failed)}"
    freezes = sum(result.freezes for result in results)
    checks = sum(result.checks for result in results)
    sums = f"{freezes} freezes stood, {checks} checks held"
    if len(results) < of or results[-1].interrupted:
        return f"interrupted in scenario {len(results)} of {of}, without a violation so far: {sums}"
    return f"all {of} scenarios passed: {sums}"


def _middle_of(histogram: dict[str, Any]) -> float:
    """The upper bound of the bucket in which the middle one of a histogram's durations lies."""
    buckets = histogram.get("buckets", ())
    left = sum(count for _, count in buckets) / 2
    for bound, count in buckets:
        left -= count
        if left <= 0:
            return float(bound)
    return 0.0


def _short(seconds: float) -> str:
    """A duration in four letters or so."""
    for unit, name in ((1.0, "s"), (1e-3, "ms")):
        if seconds >= unit:
            return f"{seconds / unit:.3g} {name}"
    return f"{seconds / 1e-6:.3g} us"

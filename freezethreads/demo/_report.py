"""What a demo found out: for machines as a dict, for people as a table."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from freezethreads.demo._camera import Freeze
from freezethreads.demo._job import Result

__all__ = ["Outcome", "Spread", "table_of"]


@dataclass(frozen=True)
class Spread:
    """How a number of durations lie, in seconds."""

    median: float
    p99: float
    """99 of 100 are at most this; of fewer than 100 it is the worst."""
    worst: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread | None:
        """None if there are no values."""
        ranked = sorted(values)
        if not ranked:
            return None
        p99 = ranked[math.ceil(0.99 * len(ranked)) - 1]
        return cls(statistics.median(ranked), p99, ranked[-1])


@dataclass
class Outcome:
    """All that is known when the demo ends."""

    root: str
    python: str
    threads: int
    every: float
    documents: int
    """How many there are below the root."""
    out: str | None = None
    """The directory of the index; None if nothing was kept."""
    resumed: dict[str, int] | None = None
    """What the run began with, if not with nothing."""
    finished: int = 0
    """How many are finished in the index."""
    unreadable: int = 0
    """How many of them ended early, since they cannot be tokenized."""
    tokens: int = 0
    checkpoint: int = 0
    """The number of the last checkpoint in the file."""
    digest: str | None = None
    """Of the complete index; None if it is not complete."""
    freezing: Result | None = None
    no_freeze: Result | None = None

    def compared(self) -> int:
        """How many documents both runs have finished, or the only one that there was."""
        return min((run.documents for run in (self.freezing, self.no_freeze) if run), default=0)

    def as_json(self) -> dict[str, Any]:
        """Everything, as `json.dumps` takes it. Durations are in seconds."""
        runs = {"freezing": self.freezing, "no_freeze": self.no_freeze}
        compared = self.compared()
        found = {name: run and _run_as_json(run, compared) for name, run in runs.items()}
        return {**vars(self), "compared": compared, **found}


def table_of(outcome: Outcome) -> str:
    """The closing table: what came of freezing and of not freezing, side by side."""
    runs = {"freezing": outcome.freezing, "no freezing": outcome.no_freeze}
    found = {title: run for title, run in runs.items() if run}
    compared = outcome.compared()
    rows = [("", list(found)), *_rows(list(found.values()), compared)]
    lines = [f"{name:<32}" + "".join(f"{cell:>14}" for cell in cells) for name, cells in rows]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def _rows(runs: list[Result], compared: int) -> Iterator[tuple[str, list[str]]]:
    yield "snapshots taken", [str(run.snapshots) for run in runs]
    yield "torn", [str(len(run.torn)) for run in runs]
    for name, part in (("time to stop", _waited), ("time frozen", _frozen)):
        spreads = [Spread.of(map(part, run.freezes)) for run in runs]
        for rank in ("median", "p99", "worst"):
            yield f"{name}, {rank}", [_milliseconds(found, rank) for found in spreads]
    yield "time frozen, share of the run", [_share(run) for run in runs]
    yield "files finished", [str(run.documents) for run in runs]
    name = f"files a second (the first {compared})"
    yield name, [_number(run.rate(compared)) for run in runs]


def _waited(freeze: Freeze) -> float:
    return freeze.waited


def _frozen(freeze: Freeze) -> float:
    return freeze.frozen


def _milliseconds(spread: Spread | None, rank: str) -> str:
    return f"{getattr(spread, rank) * 1e3:.1f} ms" if spread else "-"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"


def _share(run: Result) -> str:
    if not run.freezes:
        return "-"
    return f"{sum(map(_frozen, run.freezes)) / run.seconds:.1%}"


def _run_as_json(run: Result, compared: int) -> dict[str, Any]:
    return {
        "documents": run.documents,
        "seconds": run.seconds,
        "files_per_second": run.rate(compared),
        "snapshots": run.snapshots,
        "torn": len(run.torn),
        "reasons": run.torn,
        "time_to_stop": _spread_as_json(map(_waited, run.freezes)),
        "time_frozen": _spread_as_json(map(_frozen, run.freezes)),
        "freezes": [asdict(freeze) for freeze in run.freezes],
        "stopped_by": run.stopped_by and run.stopped_by.name,
    }


def _spread_as_json(seconds: Iterable[float]) -> dict[str, float] | None:
    found = Spread.of(seconds)
    return asdict(found) if found else None

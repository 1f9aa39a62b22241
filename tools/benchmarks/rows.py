"""Rows, and how they are measured: in rounds, each of which samples both sides of every ratio.

Whatever else the machine does hits both sides of a round, so the ratio of a round means more
than either time. A row's value is the median of its rounds' ratios. In every other round the
samples are taken in the reverse order. The first round warms up and does not count.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from time import perf_counter

_LONG = 6.0  # seconds after which a group has no more than the fewest rounds
_FEWEST = 3

Sample = Callable[[], Mapping[str, float]]
"""Takes one sample of one or more quantities, by name. Infinite: it was given up."""


@dataclass(frozen=True)
class Scale:
    """How large a run is: the benchmark's own sizes, or tiny ones that only show that it works."""

    rounds: int = 9
    tiny: bool = False

    def threads(self, size: int) -> int:
        """How many threads stand for `size` threads."""
        return min(size, 4) if self.tiny else size

    def rounds_of(self, group: Group) -> int:
        """How many rounds of `group` count: at least one."""
        return 1 if self.tiny else max(1, round(self.rounds * group.share))


@dataclass(frozen=True)
class Row:
    """`what` divided by `against`: names of two quantities that a group samples.

    `must` and `aim` are what the ratio may be at most; None: it is for information.
    """

    name: str
    what: str
    against: str
    must: float | None = None
    aim: float | None = None
    unit: str = "s"


@dataclass(frozen=True)
class Group:
    """Rows that share their samples.

    `prepare` makes what the samples need, and takes it down again. `share` scales the number
    of rounds: more for what is cheap and noisy, fewer for what is long.
    """

    rows: Sequence[Row]
    prepare: Callable[[Scale], AbstractContextManager[Sequence[Sample]]]
    share: float = 1.0


@dataclass(frozen=True)
class Result:
    """A measured row: the quantities of each round."""

    row: Row
    what: Sequence[float]
    against: Sequence[float]
    ratios: Sequence[float] = field(init=False)

    def __post_init__(self) -> None:
        ratios = [_divide(a, b) for a, b in zip(self.what, self.against, strict=True)]
        object.__setattr__(self, "ratios", ratios)

    @property
    def ratio(self) -> float:
        """The median of the rounds' ratios."""
        return statistics.median(self.ratios)

    @property
    def quartiles(self) -> tuple[float, float]:
        """The first and the third quartile of the ratios."""
        if len(self.ratios) == 1 or not all(map(math.isfinite, self.ratios)):
            return min(self.ratios), max(self.ratios)
        first, _, third = statistics.quantiles(self.ratios, n=4, method="inclusive")
        return first, third

    def meets(self, limit: float | None) -> bool | None:
        """Whether the ratio is within `limit`; None if there is no limit."""
        return None if limit is None else self.ratio <= limit


def _divide(what: float, against: float) -> float:
    """The ratio; infinite if either side is not to be had (what never ends has no ratio)."""
    return what / against if against > 0 and math.isfinite(against) else math.inf


def measure(groups: Sequence[Group], scale: Scale) -> Iterator[Result]:
    """Measure one group after the other, and give the results of each as they come."""
    for group in groups:
        with group.prepare(scale) as samples:
            rounds = _sample_rounds(samples, scale.rounds_of(group))
        for row in group.rows:
            what = [each[row.what] for each in rounds]
            yield Result(row, what, [each[row.against] for each in rounds])


def _sample_rounds(samples: Sequence[Sample], count: int) -> list[Mapping[str, float]]:
    """So many rounds, or fewer of what turns out to take very long."""
    deadline = perf_counter() + _LONG
    rounds: list[Mapping[str, float]] = []
    _sample(samples, 0)
    while len(rounds) < count and (len(rounds) < _FEWEST or perf_counter() < deadline):
        rounds.append(_sample(samples, len(rounds) + 1))
    return rounds


def _sample(samples: Sequence[Sample], index: int) -> Mapping[str, float]:
    taken: dict[str, float] = {}
    for sample in samples if index % 2 else reversed(samples):
        taken.update(sample())
    return taken


def select(groups: Sequence[Group], names: Sequence[str]) -> list[Group]:
    """The groups with the rows alone whose name contains one of `names`; all if there are none."""
    if not names:
        return list(groups)
    chosen = []
    for group in groups:
        rows = [row for row in group.rows if any(name in row.name for name in names)]
        if rows:
            chosen.append(Group(rows, group.prepare, group.share))
    return chosen

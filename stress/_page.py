"""The page of ``--html``: one file for a browser, which needs nothing else.

It is a template (``stress/page``) with the results filled in. What is drawn is SVG and HTML whose
places are in percent, so that it fits a page of any width with letters of one size.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from math import log2
from pathlib import Path
from typing import TYPE_CHECKING, Any

from freezethreads.testing import Result
from stress import _rows
from stress._drawing import ZOOMS, Drawing, duration
from stress._lanes import first_finding, worst_freeze

if TYPE_CHECKING:
    from jinja2 import Template

TEMPLATES = Path(__file__).with_name("page")
FEW = 2


def page_of(results: Sequence[Result], what: str, verdict: str, load: str | None) -> str:
    """The page's text. Needs jinja2.

    `what` was run, with this `verdict` on all, from the file `load` (None: the runner's own).
    """
    sheets = [Sheet(result, load) for result in results]
    return _template().render(
        sheets=sheets,
        opened=_worth_reading(sheets),
        what=what,
        verdict=verdict,
        zooms=ZOOMS,
    )


def _worth_reading(sheets: Sequence[Sheet]) -> list[Sheet]:
    """What is not folded at first: what has failed, or the one with the freeze that took longest,
    and all if they are few."""
    if len(sheets) <= FEW:
        return list(sheets)
    failed = [sheet for sheet in sheets if not sheet.result.passed]
    return failed or [max(sheets, key=lambda sheet: sheet.stop.worst)]


@cache
def _template() -> Template:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["duration"] = duration
    environment.filters["place"] = place
    return environment.get_template("page.html")


@dataclass(frozen=True)
class Bar:
    """A bucket: its two bounds in seconds, how many, how long that is, and the values in it."""

    above: float
    below: float
    count: int
    percent: float
    marks: list[str]


class Chart:
    """A histogram as rows, one for each bucket from the lowest to the highest that has any."""

    def __init__(self, histogram: dict[str, Any]) -> None:
        self.count = int(histogram.get("count", 0))
        self.median = _rows.at_most(histogram, 0.5)
        self.p99 = _rows.at_most(histogram, 0.99)
        self.worst = float(histogram.get("worst", 0.0))
        self.bars = list(self._bars(histogram.get("buckets", ())))

    def _bars(self, buckets: Sequence[tuple[float, int]]) -> Iterator[Bar]:
        counts = {round(log2(bound)): count for bound, count in buckets}
        most = max(counts.values(), default=0)
        values = (("median", self.median), ("p99", self.p99), ("max", self.worst))
        for exponent in range(min(counts, default=0), max(counts, default=-1) + 1):
            above, below = 2.0 ** (exponent - 1), 2.0**exponent
            marks = [name for name, value in values if above < value <= below]
            count = counts.get(exponent, 0)
            yield Bar(above, below, count, 100 * count / most, marks)


class Sheet:
    """What the page says of one result."""

    def __init__(self, result: Result, load: str | None) -> None:
        self.result = result
        self.verdict = _rows.verdict(result)
        self.again = _rows.again(result, load)
        self.stop = Chart(result.statistics.get("time_to_stop", {}))
        self.frozen = Chart(result.statistics.get("frozen_time", {}))
        worst, before = worst_freeze(result), first_finding(result)
        self.worst = None if worst is None else Drawing(worst)
        self.before = None if before is None else Drawing(before)

    @property
    def standing(self) -> list[dict[str, Any]]:
        """Who stood in the worst freeze, the last to stop at the end."""
        worst = self.result.worst or {"standing": []}
        return sorted(worst["standing"], key=lambda each: float(each["since"] or 0.0))

    def rate(self, count: int | None) -> str:
        """How many a second; a dash if nothing was counted."""
        if count is None:
            return "\N{EN DASH}"
        rate = _rows.per_second(self.result, count)
        return f"{rate:,.0f}" if rate >= 10 else f"{rate:.1f}"


def place(text: str) -> str:
    """A site, or a file, with the path as seen from here."""
    return text.replace(f"{Path.cwd()}/", "")

"""What a controller is told whose time ran out: who is late, where, and what for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from freezethreads._ground.errors import FreezeTimeout
from freezethreads._ground.original import monotonic
from freezethreads._machine.deadlocks import find_deadlocks
from freezethreads._machine.stacks import Shelter
from freezethreads._registry.places import place_at
from freezethreads._registry.record import Record
from freezethreads._registry.requests import Freeze
from freezethreads._report.statistics import site_of
from freezethreads._report.stragglers import (
    Straggler,
    merely_waits,
    report_stragglers,
    to_blame,
    told_of_section,
)

_NOBODY: Final[Mapping[Record, Shelter | None]] = MappingProxyType({})
_NAMED: Final = 5  # of those that are not to blame


def timeout_of(
    freeze: Freeze, shelters: Mapping[Record, Shelter | None] = _NOBODY, late: int = 0
) -> FreezeTimeout:
    """Who is late. Of a freeze between two bytecodes, `shelters` are those that are to blame, and
    `late` is how many have not arrived at its bar: those who have are its members."""
    waited = monotonic() - freeze.asked.at
    inside = {
        record.ident: (f"pending({region.kind!r})", site_of(region.place))
        for record in list(freeze.awaited)
        for region in record.unfinished
        if freeze.minds(region)
    }
    for record, shelter in shelters.items():
        if shelter is not None:
            site = site_of(place_at(shelter.code, shelter.offset))
            inside.setdefault(record.ident, (str(shelter), site))
    stopped = [*freeze.whole.all_members(), *shelters]
    late_ones = [
        told_of_section(straggler, freeze.where, *inside.get(straggler.ident, (None, None)))
        for straggler in report_stragglers(list(freeze.awaited), stopped)
    ]
    found = tuple(sorted(late_ones, key=merely_waits))
    lines = "".join(f"\n  {one}" for one in (*_lines_of(found), *find_deadlocks()))
    return FreezeTimeout(
        f"{len(found)} of {len(freeze.members) + late} threads did not stop within "
        f"{waited:.3g} s for {freeze!r}; everybody was let go, and nothing stays armed:{lines}",
        found,
    )


def _lines_of(found: Sequence[Straggler]) -> Iterator[str]:
    """A line for each of them; but one for all of those that merely wait, who come last."""
    blamed = to_blame(found)
    others = [one.name for one in found[len(blamed) :]]
    if len(others) < 2:
        yield from map(str, found)
        return
    yield from map(str, blamed)
    named, more = ", ".join(others[:_NAMED]), len(others) - _NAMED
    rest = f", and {more} more" if more > 0 else ""
    yield f"{len(others)} wait in calls, in which they stop once the others do: {named}{rest}"

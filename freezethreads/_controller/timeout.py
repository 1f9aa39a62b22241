"""What a controller is told whose time ran out: who is late, where, and what for."""

from __future__ import annotations

from collections.abc import Mapping
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
from freezethreads._report.stragglers import report_stragglers, told_of_section

_NOBODY: Final[Mapping[Record, Shelter | None]] = MappingProxyType({})


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
    found = tuple(
        told_of_section(straggler, freeze.where, *inside.get(straggler.ident, (None, None)))
        for straggler in report_stragglers(list(freeze.awaited), stopped)
    )
    lines = "".join(f"\n  {one}" for one in (*found, *find_deadlocks()))
    return FreezeTimeout(
        f"{len(found)} of {len(freeze.members) + late} threads did not stop within "
        f"{waited:.3g} s for {freeze!r}; everybody was let go, and nothing stays armed:{lines}",
        found,
    )

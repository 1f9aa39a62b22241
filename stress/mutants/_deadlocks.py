"""The graph of who waits for whom, without one of its rules."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from freezethreads._ground.frames import HAS_GIL
from freezethreads._machine import awaited, deadlocks
from freezethreads._report.deadlocks import TIME_OUT
from stress.mutants._mutant import breaks, replace


@breaks("what any thread may release is never certain to stay", "deadlocks")
def nobody_else_releases() -> None:
    original = deadlocks._owner_of
    replace(original, lambda lock, holders: (original(lock, holders)[0], True))


@breaks("a wait with a time-out is over by itself", "deadlocks")
def time_outs_forgotten() -> None:
    original = deadlocks._way_to_lock

    def way_to_lock(ident: int, lock: Any, for_ever: bool, *others: Any) -> deadlocks._Way | None:
        way = original(ident, lock, for_ever, *others)
        return way and way._replace(way_out=None if way.way_out == TIME_OUT else way.way_out)

    replace(original, way_to_lock)


@breaks("each way is followed to its end", "deadlocks")
def only_pairs_go_round() -> None:
    original = deadlocks._ends

    def ends(ways: deadlocks._Ways) -> Iterable[tuple[list[int], list[int]]]:
        return [(end, behind) for end, behind in original(ways) if len(end) < 3]

    replace(original, ends)


@breaks("a lock has the owner that it has now", "deadlocks")
def first_owner_kept() -> None:
    owners: dict[int, Any] = {}
    original = deadlocks._owner_of
    replace(original, lambda lock, holders: owners.setdefault(id(lock), original(lock, holders)))


if HAS_GIL:

    @breaks("who has released its lock within a `with` block over it does not have it", "deadlocks")
    def released_by_hand() -> None:
        replace(awaited._may_have_released, lambda *args: False)

    @breaks("who waits for its own waits for a sign, unless it is in a `with` block", "deadlocks")
    def signs_forgotten() -> None:
        original = awaited.held_in
        replace(original, lambda frame: [one._replace(in_block=True) for one in original(frame)])

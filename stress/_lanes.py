"""What each thread did in one freeze, cut into stretches that can be drawn: for page and trace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import inf
from typing import Any, NamedTuple

from freezethreads.testing import LANES, Event, Result

BEFORE = 0.01
"""Seconds that are shown before the freeze at most; the runner keeps no more."""


class Stretch(NamedTuple):
    """A part of a thread's life. Times in seconds on the run's clock.

    ``kind`` is one of `LANES`, or ``waiting``, in a wait of `freezethreads.sync`.
    """

    begin: float
    end: float
    kind: str
    detail: str


@dataclass(frozen=True)
class Lane:
    """One thread: stretches that do not overlap, in order, and moments in them."""

    name: str
    stretches: list[Stretch]
    moments: list[Event] = field(default_factory=list)


@dataclass(frozen=True)
class Picture:
    """Some lanes, and what to show of them: from ``begin`` to ``end``, counted from ``zero``.

    ``lines`` are the moments that concern all threads.
    """

    begin: float
    end: float
    zero: float
    lines: list[tuple[float, str]]
    lanes: list[Lane]


def worst_freeze(result: Result) -> Picture | None:
    """The freeze that took longest to stand; None if none is known.

    Who has a world comes first, then the others in the order in which they stopped.
    """
    worst = result.worst
    if worst is None:
        return None
    armed, stood = worst["armed"], worst["stood"]
    standing = {each["name"]: each for each in worst["standing"]}
    events: dict[str, Sequence[Event]] = {name: () for name in standing} | worst["lanes"]
    last = max([worst["thawed"], *(event[0] for lane in events.values() for event in lane)])
    was_thawed = worst["thawed"] > stood  # else something was found while all stood
    thawed = worst["thawed"] if was_thawed else last
    lanes = [
        _lane(name, of, last, _stood(standing.get(name), thawed)) for name, of in events.items()
    ]

    def order(lane: Lane) -> tuple[bool, bool, float]:
        since = standing.get(lane.name, {}).get("since")
        return lane.name != worst["controller"], lane.name not in standing, since or armed

    span = max(thawed - armed, 1e-6)
    return Picture(
        armed - min(BEFORE, span / 4),
        thawed + max(min(last - thawed, span / 2), span / 20),
        armed,
        [(armed, "armed"), (stood, "all stood"), *[(thawed, "thawed")] * was_thawed],
        sorted(filter(_is_worth, lanes), key=order),
    )


def first_finding(result: Result) -> Picture | None:
    """What the threads did before the first violation, from the last freeze on; None: not known.

    Who had asked for that freeze comes first, then the others, the last to stop at the end.
    """
    if not (result.findings and any(result.events.values())):
        return None
    found = result.began + result.findings[0].at
    events = sorted(event for lane in result.events.values() for event in lane)
    end = max(found, events[-1][0])
    freezing = [at for at, kind, _ in events if kind == "freezing" and at < found]
    zero = freezing[-1] if freezing else found
    lines = [(at, "armed") for at in freezing[-1:]]
    lines += [(at, "all stood") for at, kind, _ in events if kind == "stood" and at > zero]
    span = (end - zero) or BEFORE
    lanes = [_lane(name, of, end) for name, of in result.events.items()]

    def order(lane: Lane) -> tuple[bool, float]:
        is_controller = any(moment[0] == zero for moment in lane.moments)
        return not is_controller, lane.stretches[-1].begin if lane.stretches else end

    return Picture(
        max(zero - span / 3, events[0][0]),
        end + span / 20,
        zero,
        [*lines, (found, "violation")],
        sorted(filter(_is_worth, lanes), key=order),
    )


def clipped(stretches: list[Stretch], begin: float, end: float) -> list[Stretch]:
    """What of them lies between two times."""
    inside = (each for each in stretches if each.end > begin and each.begin < end)
    return [each._replace(begin=max(each.begin, begin), end=min(each.end, end)) for each in inside]


def _lane(name: str, events: Sequence[Event], end: float, stood: Stretch | None = None) -> Lane:
    """A lane until `end`. Where and since when its thread `stood` is known better than by events.

    What a thread did before its first event is not known, and what it did after a wait neither.
    """
    begins = [event for event in events if event[1] in LANES]
    moments = [event for event in events if event[1] not in LANES]
    stretches = [
        Stretch(begin[0], then[0], begin[1], begin[2])
        for begin, then in pairwise([*begins, (end, "", "")])
        if then[0] > begin[0]
    ]
    if stood is not None and (stood.kind == "waiting" or not begins):
        after = next((begin[0] for begin in begins if begin[0] >= stood.end), end)
        before = clipped(stretches, -inf, stood.begin)
        stretches = [*before, stood, *clipped(stretches, after, end)]
    return Lane(name, stretches, moments)


def _stood(standing: dict[str, Any] | None, thawed: float) -> Stretch | None:
    if standing is None or standing["since"] is None or standing["since"] >= thawed:
        return None
    kind = {"wait": "waiting", "safepoint": "parked"}.get(standing["kind"], "blocking")
    return Stretch(standing["since"], thawed, kind, standing["site"])


def _is_worth(lane: Lane) -> bool:
    return bool(lane.stretches or lane.moments)

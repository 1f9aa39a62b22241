"""Timelines in Chrome's Trace Event Format, which Perfetto (ui.perfetto.dev) shows.

One process a scenario, and in it one track a thread, with what the thread did in the worst freeze
and, if something was found, before that; the first track has the last freezes. Slices of one track
must nest without a rounding error, so all times are whole nanoseconds, written in microseconds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from math import inf
from typing import Any

from freezethreads.testing import Event, Result
from stress._lanes import Lane, Stretch, clipped, first_finding, worst_freeze
from stress._rows import verdict

APART = 10_000
"""Between two processes' numbers. No thread's number is used twice, and none is 0."""


def trace_of(results: Sequence[Result]) -> str:
    """The content of the file. Times are since each scenario's own beginning."""
    events = [
        event
        for number, result in enumerate(results, 1)
        for event in _process(result, number * APART)
    ]
    return json.dumps({"displayTimeUnit": "ns", "traceEvents": events}) + "\n"


def _process(result: Result, pid: int) -> Iterator[dict[str, Any]]:
    yield _name("process_name", f"{result.scenario}: {verdict(result)}", pid, pid)
    yield {**_name("process_sort_index", "", pid, pid), "args": {"sort_index": pid}}
    yield _name("thread_name", "freezes", pid, pid)
    yield from _slices(_freezes(result), pid, pid, result.began)
    for finding in result.findings:
        at = (result.began + finding.at, "violation", f"{finding.who}: {finding.what}")
        yield _instant(at, pid, pid, result.began, "p")
    for tid, lane in enumerate(_lanes(result), pid + 1):
        yield _name("thread_name", lane.name, pid, tid)
        yield from _slices(lane.stretches, pid, tid, result.began)
        for moment in lane.moments:
            yield _instant(moment, pid, tid, result.began, "t")


def _freezes(result: Result) -> list[Stretch]:
    """How long each of the last freezes took, and stood; not those inside another one's world."""
    stretches: list[Stretch] = []
    before = result.began
    for armed, stood, thawed in sorted(result.recent, key=lambda times: times[1]):
        if stood >= before:
            stretches.append(Stretch(max(armed, before), stood, "stopping", ""))
            stretches.append(Stretch(stood, thawed, "standing", ""))
            before = thawed
    return stretches


def _lanes(result: Result) -> list[Lane]:
    """Each thread's lane, out of both pictures."""
    lanes: dict[str, Lane] = {}
    for picture in filter(None, (worst_freeze(result), first_finding(result))):
        for lane in picture.lanes:
            before = lanes.get(lane.name)
            lanes[lane.name] = lane if before is None else _joined(before, lane)
    return list(lanes.values())


def _joined(lane: Lane, other: Lane) -> Lane:
    """One lane with what is in both of them taken once."""
    if not (lane.stretches and other.stretches):
        stretches = lane.stretches or other.stretches
    else:
        before = clipped(other.stretches, -inf, lane.stretches[0].begin)
        after = clipped(other.stretches, lane.stretches[-1].end, inf)
        stretches = [*before, *lane.stretches, *after]
    moments = {(at, kind, detail) for at, kind, detail in (*lane.moments, *other.moments)}
    return Lane(lane.name, stretches, sorted(moments))


def _slices(
    stretches: Sequence[Stretch], pid: int, tid: int, zero: float
) -> Iterator[dict[str, Any]]:
    for stretch in stretches:
        begin, end = _nanoseconds(stretch.begin - zero), _nanoseconds(stretch.end - zero)
        yield {
            **{"name": stretch.kind, "ph": "X", "pid": pid, "tid": tid},
            **{"ts": begin / 1000, "dur": (end - begin) / 1000},
            "args": {"detail": stretch.detail},
        }


def _instant(event: Event, pid: int, tid: int, zero: float, scope: str) -> dict[str, Any]:
    at, kind, detail = event
    where = {"pid": pid, "tid": tid, "ts": _nanoseconds(at - zero) / 1000}
    return {"name": kind, "ph": "i", "s": scope, **where, "args": {"detail": detail}}


def _name(what: str, name: str, pid: int, tid: int) -> dict[str, Any]:
    return {"name": what, "ph": "M", "pid": pid, "tid": tid, "args": {"name": name}}


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)

"""``python -m stress --trace``: lanes, and the file's structure.

Importers read the Trace Event Format as its document says: slices of one track must nest.
"""

from __future__ import annotations

import json
from collections import defaultdict
from itertools import pairwise
from typing import Any

import pytest

from freezethreads.testing import Result
from stress._lanes import Lane, Picture, first_finding, worst_freeze
from stress._trace import trace_of
from stress_results import ARMED, BEGAN, STOOD, THAWED, WORST, crashed, failed, passed

RESULTS = [passed(), failed(), crashed()]


def events_of(*results: Result) -> list[dict[str, Any]]:
    content = json.loads(trace_of(results))
    assert set(content) == {"displayTimeUnit", "traceEvents"}
    events: list[dict[str, Any]] = content["traceEvents"]
    return events


def slices_of(result: Result, track: str) -> list[tuple[str, int, int]]:
    """The slices of one track: kind, and begin and end in whole milliseconds."""
    events = events_of(result)
    (tid,) = (
        event["tid"]
        for event in events
        if event["name"] == "thread_name" and event["args"]["name"] == track
    )
    return [
        (event["name"], round(event["ts"] / 1e3), round((event["ts"] + event["dur"]) / 1e3))
        for event in events
        if event["ph"] == "X" and event["tid"] == tid
    ]


def picture_of(result: Result) -> Picture:
    picture = worst_freeze(result)
    assert picture is not None
    return picture


def lane_of(picture: Picture, name: str) -> Lane:
    (lane,) = (lane for lane in picture.lanes if lane.name == name)
    return lane


def test_each_event_has_what_its_phase_asks_for() -> None:
    common = {"name": str, "ph": str, "pid": int, "tid": int, "args": dict}
    number = (int, float)
    of_phase: dict[str, dict[str, Any]] = {
        "X": {"ts": number, "dur": number},
        "i": {"ts": number, "s": str},
        "M": {},
    }
    for event in events_of(*RESULTS):
        fields = common | of_phase[event["ph"]]
        assert event.keys() == fields.keys()
        for field, kind in fields.items():
            assert isinstance(event[field], kind), event
        assert event.get("dur", 1) > 0
        assert event.get("s", "t") in ("t", "p", "g")


def test_there_is_one_process_for_each_scenario_and_each_track_has_a_name() -> None:
    events = events_of(*RESULTS)
    names = {e["pid"]: e["args"]["name"] for e in events if e["name"] == "process_name"}
    assert list(names.values()) == ["bank: ok", "torn: FAILED", "crashing: FAILED"]
    tracks = {(e["pid"], e["tid"]) for e in events if e["name"] == "thread_name"}
    assert tracks == {(event["pid"], event["tid"]) for event in events}
    assert len({tid for _, tid in tracks}) == len(tracks), "numbers of threads are global"
    assert not {0} & {number for track in tracks for number in track}, "0 is the idle thread"


def test_slices_of_one_track_do_not_overlap_by_a_nanosecond() -> None:
    third = 1 / 3e6
    events = [[ARMED + i * third, ("running", "parked")[i % 2], ""] for i in range(100)]
    result = passed(worst={**WORST, "lanes": {"late": events}})
    tracks: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for event in events_of(result, *RESULTS):
        if event["ph"] == "X":
            begin = round(event["ts"] * 1000)
            assert begin == pytest.approx(event["ts"] * 1000, abs=1e-3)
            tracks[event["tid"]].append((begin, begin + round(event["dur"] * 1000)))
    assert len(tracks) > 5
    for slices in tracks.values():
        for (_, end), (begin, _) in pairwise(slices):
            assert begin >= end


def test_times_are_microseconds_since_the_beginning() -> None:
    assert slices_of(passed(), "freezes") == [
        ("stopping", 100, 200),
        ("standing", 200, 300),
        ("stopping", 500, 510),
        ("standing", 510, 530),
    ]


def test_a_freeze_that_waited_for_its_turn_begins_at_the_thaw_before() -> None:
    outer, inner, next_one = (
        (1000.1, 1000.2, 1000.5),
        (1000.3, 1000.3, 1000.4),
        (1000.15, 1000.6, 1001),
    )
    slices = slices_of(passed(recent=[inner, outer, next_one]), "freezes")
    assert [(kind, begin) for kind, begin, _ in slices] == [
        ("stopping", 100),
        ("standing", 200),
        ("stopping", 500),
        ("standing", 600),
    ]


def test_a_finding_is_a_mark_on_the_whole_process() -> None:
    (mark,) = (event for event in events_of(failed()) if event["name"] == "violation")
    assert (mark["s"], mark["ts"]) == ("p", 600_000)
    assert mark["args"]["detail"] == "boss: a pair is torn: 1 < 2"


def test_what_is_in_both_pictures_is_there_once() -> None:
    late = slices_of(failed(), "late")
    assert [kind for kind, _, _ in late] == ["running", "parked", "running", "running"]
    assert late[-1][2] == 600, "up to the violation"


# The lanes themselves, which the page draws as well.


def test_a_lane_is_cut_where_the_next_stretch_begins() -> None:
    lane = lane_of(picture_of(passed()), "late")
    assert [(each.kind, each.begin, each.end) for each in lane.stretches] == [
        ("running", 1000.4, 1000.509),
        ("parked", 1000.509, 1000.532),
        ("running", 1000.532, 1000.538),
    ]
    assert [moment[1] for moment in lane.moments] == ["noted", "noted", "ended"]


def test_a_wait_is_known_by_where_its_thread_stood() -> None:
    lane = lane_of(picture_of(passed()), "waiter")
    assert [(each.kind, each.begin, each.end) for each in lane.stretches] == [
        ("running", 1000.3, 1000.498),
        ("waiting", 1000.498, THAWED),  # what came then is not known
        ("todo", 1000.535, 1000.54),
    ]


def test_that_a_thread_stood_is_known_even_if_no_event_tells() -> None:
    lane = lane_of(picture_of(passed()), "door")
    assert [(each.kind, each.begin, each.end) for each in lane.stretches] == [
        ("blocking", 1000.2, 1000.3),
        ("running", 1000.3, 1000.5005),
        ("parked", 1000.5005, THAWED),
    ]


def test_a_thread_without_events_is_shown_where_it_stood() -> None:
    (stretch,) = lane_of(picture_of(passed()), "dark").stretches
    assert stretch == (1000.501, THAWED, "blocking", "blocking")


def test_the_controller_is_first_and_the_last_to_stop_last() -> None:
    picture = picture_of(passed())
    assert [lane.name for lane in picture.lanes] == [
        "boss",
        "waiter",
        "door",
        "dark",
        "late",
        "gone",
    ]
    assert picture.lines == [(ARMED, "armed"), (STOOD, "all stood"), (THAWED, "thawed")]
    assert BEGAN < picture.begin < ARMED < THAWED < picture.end


def test_a_world_in_which_something_was_found_was_not_thawed() -> None:
    picture = picture_of(passed(worst={**WORST, "thawed": STOOD}))
    assert [text for _, text in picture.lines] == ["armed", "all stood"]


def test_the_moments_before_a_finding_begin_with_the_last_freeze() -> None:
    picture = first_finding(failed())
    assert picture is not None
    assert picture.zero == 1000.59
    assert picture.lines == [
        (1000.59, "armed"),
        (1000.595, "all stood"),
        (pytest.approx(1000.6), "violation"),
    ]
    assert [lane.name for lane in picture.lanes] == ["boss", "late", "early"]


def test_nothing_is_known_of_a_process_that_died() -> None:
    assert worst_freeze(crashed()) is None
    assert first_finding(crashed()) is None
    assert first_finding(passed()) is None

"""`python -m stress --scenario socket stores`: what attacks the stores and the control socket."""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path

import pytest

from freezethreads.testing import Plan, Violation
from stress._job import Job
from stress._launch import run_job
from stress.attack._calls import Saving, available, record
from stress.attack._disk import Disk, Event, Image, Made, Named, Removed, Resized, Synced, Written
from stress.attack._footprint import Footprint
from stress.attack._fuzz import message
from stress.attack._saver import Told, number_of, payload_of
from stress.attack._trials import check, each_failure, place

needs_strace = pytest.mark.skipif(not available(), reason="needs strace")


@pytest.mark.parametrize("scenario", ["socket", "stores"])
def test_what_is_attacked_holds(scenario: str) -> None:
    plan = Plan("seed", 2.0, threads=4, freeze_timeout=5.0, patience=20.0)
    result = run_job(Job(scenario, plan))
    assert result.passed, str(result)
    assert " descriptors, " in result.output


def after(events: Iterable[Event], times: int = 0) -> list[Image]:
    """All that may be there if the power fails after these."""
    disk = Disk("folder")
    for event in events:
        disk.play(event)
    return list(disk.failures(random.Random(0), times))


def test_what_is_synced_stays_whatever_fails() -> None:
    written: list[Event] = [Made("a"), Written("a", None, b"1"), Synced("a"), Synced("folder")]
    assert after(written, 20) == [{"a": b"1"}]
    assert after([*written, Named("a", "b"), Synced("folder")], 20) == [{"b": b"1"}]
    assert after([*written, Removed("a"), Synced("folder")], 20) == [{}]


def test_what_is_not_synced_may_be_lost_each_by_itself() -> None:
    made: list[Event] = [Made("a"), Synced("folder"), Written("a", 0, b"1"), Written("a", 1, b"2")]
    contents = {image["a"] for image in after(made)}
    assert contents == {b"12", b"1", b"\x002", b""}
    named: list[Event] = [Made("a"), Written("a", 0, b"1"), Synced("a"), Named("a", "b")]
    assert {tuple(image) for image in after(named)} == {("b",), (), ("a",)}
    cut: list[Event] = [
        Made("a"),
        Written("a", 0, b"12"),
        Synced("a"),
        Synced("folder"),
        Resized("a", 1),
    ]
    assert {image["a"] for image in after(cut)} == {b"12", b"1"}


def test_a_large_write_may_be_torn() -> None:
    images = after([Made("a"), Synced("folder"), Written("a", 0, b"x" * 2000)], 50)
    assert any(0 < image["a"].count(b"x") < 2000 for image in images)


def test_the_same_seed_has_the_power_fail_alike_and_says_the_same() -> None:
    events: list[Event] = [Made("a"), Synced("folder"), Written("a", 0, b"x" * 2000)]
    assert after(events, 20) == after(events, 20)
    first, second = random.Random("seed"), random.Random("seed")
    assert [message(first) for _ in range(200)] == [message(second) for _ in range(200)]


@needs_strace
@pytest.mark.parametrize("kind", ["file", "sqlite"])
def test_what_is_recorded_is_what_there_is(kind: str, tmp_path: Path) -> None:
    folder = tmp_path / "f"
    folder.mkdir()
    disk = Disk("f")
    for event in record(Saving(kind, "inline", folder / "state", 3, 9000), tmp_path / "trace"):
        disk.play(event)
    everything = next(disk.failures(random.Random(0), 0))
    there = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert {**everything, "told": there["told"]} == there


def test_a_checkpoint_that_is_lost_or_mixed_up_is_noticed(tmp_path: Path) -> None:
    with place(tmp_path) as path:
        path.with_name("told").write_bytes(b"begun 1\ndurable 1\nbegun 2\ndur")
        with pytest.raises(Violation, match="0 was loaded after it, with 1 durable and 2 begun"):
            check("file", path, "it")
    number, size, data = payload_of(7, 100)
    assert number_of((number, size, data)) == 7
    with pytest.raises(ValueError, match="7 was not saved like this"):
        number_of((number, size, data[:-1] + b"?"))


def test_a_torn_line_was_not_told() -> None:
    assert Told.of(b"begun 1\ndurable 1\nbegun 2\ndurable") == Told(2, 1)


def test_what_is_left_open_is_noticed() -> None:
    before = Footprint()
    with open("/dev/null"), pytest.raises(Violation, match=r"open descriptors, and now \d+"):
        before.check(0.0)
    assert before.check(0.0)


def test_each_call_fails_in_each_way() -> None:
    failures = list(each_failure({"fsync": 2, "rename": 1}, random.Random(0)))
    assert len(failures) == len(set(failures)) == 2 * 4 + 1 * 4
    assert {call for call, _, _ in failures[:2]} == {"fsync", "rename"}

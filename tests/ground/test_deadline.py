"""Durations: None is for ever, and what is no duration is refused."""

from __future__ import annotations

import math
import sys
import time
from _thread import TIMEOUT_MAX

import pytest

from freezethreads import Freezer, FreezeTimeout
from freezethreads._ground import deadline as deadline_module
from freezethreads._ground.deadline import Deadline, check_seconds
from freezing import puppet


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that stands at its only element."""
    now = [100.0]
    monkeypatch.setattr(deadline_module, "monotonic", lambda: now[0])
    return now


def test_never(clock: list[float]) -> None:
    deadline = Deadline(None)
    clock[0] = math.inf
    assert deadline.remaining() == -1
    assert not deadline.passed()


def test_the_time_that_remains(clock: list[float]) -> None:
    deadline = Deadline(5)
    clock[0] = 102
    assert deadline.remaining() == 3
    assert not deadline.passed()
    clock[0] = 105
    assert deadline.remaining() == 0
    assert deadline.passed()
    clock[0] = 1000
    assert deadline.remaining() == 0


@pytest.mark.parametrize("jump", [3600, -3600])
def test_while_the_clock_is_stopped_none_comes_nearer(clock: list[float], jump: float) -> None:
    """However far it jumps meanwhile."""
    deadline, over = Deadline(5), Deadline(1)
    clock[0] += 2
    deadline_module.stop_clock("test")
    clock[0] += jump
    assert (deadline.remaining(), deadline.passed()) == (3, False)
    assert (over.remaining(), over.passed()) == (0, True)
    deadline_module.start_clock("test")
    assert deadline.remaining() == 3
    clock[0] += 3
    assert deadline.passed()


def test_who_waits_for_a_stopped_clock_does_not_spin(clock: list[float]) -> None:
    deadline = Deadline(1e-6)
    deadline_module.stop_clock("test")
    assert deadline.remaining() == 0.05
    deadline_module.start_clock("test")
    assert deadline.remaining() == pytest.approx(1e-6)


def test_one_that_is_made_meanwhile_goes_by_the_real_clock(clock: list[float]) -> None:
    deadline_module.stop_clock("test")
    deadline = Deadline(5)
    clock[0] += 4
    assert deadline.remaining() == 1
    clock[0] += 1
    assert deadline.passed()
    deadline_module.start_clock("test")


def test_stops_may_overlap_and_be_repeated(clock: list[float]) -> None:
    deadline = Deadline(5)
    for _ in range(2):
        deadline_module.stop_clock("one")
        clock[0] += 10
    deadline_module.stop_clock("other")
    for _ in range(2):
        deadline_module.start_clock("one")
        clock[0] += 10
    assert deadline.remaining() == 5
    deadline_module.start_clock("other")
    clock[0] += 1
    assert deadline.remaining() == 4
    deadline_module.stop_clock("one")
    clock[0] += 10
    deadline_module.reset_clock()
    clock[0] += 1
    assert deadline.remaining() == 3


def test_zero_has_passed(clock: list[float]) -> None:
    assert Deadline(0).passed()


@pytest.mark.parametrize("seconds", [1e300, math.inf])
def test_no_wait_is_longer_than_the_platform_allows(seconds: float) -> None:
    assert Deadline(seconds).remaining() == TIMEOUT_MAX
    assert not Deadline(seconds).passed()


def test_comes_also_where_tests_have_stopped_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """As freezegun stops it: in each module, by each name that the function has there."""
    clock = time.monotonic
    for module in list(sys.modules.values()):
        for name, value in list(getattr(module, "__dict__", {}).items()):
            if value is clock and module.__name__.startswith(("time", "freezethreads")):
                monkeypatch.setattr(module, name, lambda: 0.0)
    assert time.monotonic() == 0.0
    freezer = Freezer("clock")
    with puppet(freezer), pytest.raises(FreezeTimeout):
        freezer.freeze(timeout=0.05)


@pytest.mark.parametrize(("value", "seconds"), [(None, None), (0, 0.0), (3, 3.0), (0.5, 0.5)])
def test_durations(value: float | None, seconds: float | None) -> None:
    checked = check_seconds("timeout", value)
    assert checked == seconds
    assert type(checked) is type(seconds)


@pytest.mark.parametrize("value", [-1, -0.001, math.nan, -math.inf])
def test_what_is_no_duration_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="timeout must be 0 or more seconds, or None"):
        check_seconds("timeout", value)


def test_a_lease_of_no_time_is_refused() -> None:
    with pytest.raises(ValueError, match="lease must be more than 0 seconds"):
        check_seconds("lease", 0, positive=True)


@pytest.mark.parametrize("value", ["1", True, [1], 1j])
def test_what_is_no_number_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="timeout must be a number of seconds or None"):
        check_seconds("timeout", value)  # type: ignore[arg-type]

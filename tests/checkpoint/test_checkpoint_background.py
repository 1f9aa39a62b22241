"""Checkpoints in the background: when they are made, and what becomes of their errors."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator

import pytest

from checkpoints import Counters, Gate, MemoryStore, last_of
from freezethreads import Freezer
from freezethreads.checkpoint import Checkpointer, _schedule
from helpers import WAIT, start, wait_for


@pytest.fixture
def counters() -> Iterator[Counters]:
    made = Counters(2)
    yield made
    made.finish()


class Calls:
    """Counts calls, and waits for the so-manieth."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.count = 0

    def __call__(self) -> None:
        with self.changed:
            self.count += 1
            self.changed.notify_all()

    def wait_for(self, count: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: self.count >= count, WAIT)


def test_it_makes_checkpoints_until_the_end_of_the_block(counters: Counters) -> None:
    saved = Calls()
    checkpointer = Checkpointer(
        counters.freezer, MemoryStore(saved), lambda: counters.pairs, every=0.001
    )
    with checkpointer as entered:
        assert entered is checkpointer
        saved.wait_for(5)
    made = checkpointer.last
    assert made is not None
    assert made.sequence == saved.count
    assert not [t for t in threading.enumerate() if t.name == "freezethreads-checkpoint"]


def test_it_may_be_started_and_stopped_by_hand_and_again(counters: Counters) -> None:
    saved = Calls()
    checkpointer = Checkpointer(counters.freezer, MemoryStore(saved), lambda: 1, every=0.001)
    checkpointer.stop()
    for _ in range(2):
        checkpointer.start()
        with pytest.raises(RuntimeError, match="running already"):
            checkpointer.start()
        saved.wait_for(saved.count + 1)
        checkpointer.stop()
        checkpointer.stop()


def test_without_an_interval_there_is_no_thread() -> None:
    checkpointer = Checkpointer(Freezer(), MemoryStore(), lambda: 1)
    before = threading.active_count()
    with checkpointer:
        assert threading.active_count() == before
        assert checkpointer.checkpoint().sequence == 1
    with pytest.raises(ValueError, match="without every"):
        checkpointer.start()


def test_a_final_checkpoint_is_made_only_if_asked_for() -> None:
    checkpointer = Checkpointer(Freezer(), MemoryStore(), lambda: 1, every=3600)
    with checkpointer:
        pass
    assert last_of(checkpointer) is None
    with checkpointer:
        checkpointer.stop(final=True)
    assert last_of(checkpointer) is not None


def test_stop_waits_for_the_checkpoint_under_way() -> None:
    gate = Gate()
    checkpointer = Checkpointer(Freezer(), MemoryStore(gate), lambda: 1, every=0.001)
    checkpointer.start()
    wait_for(gate.reached)
    stopping = start(checkpointer.stop)
    assert last_of(checkpointer) is None
    assert stopping.is_alive()
    gate.go.set()
    stopping.finish()
    assert last_of(checkpointer) is not None


def test_a_registered_thread_may_stop_it(counters: Counters) -> None:
    """Its wait counts as stopped: the checkpoint under way has begun to wait for this thread."""
    checkpointer = Checkpointer(counters.freezer, MemoryStore(), lambda: 1, every=0.001, timeout=2)
    asked = threading.Event()

    def work() -> None:
        with counters.freezer.register(waker=asked.set):
            checkpointer.start()
            wait_for(asked)
            checkpointer.stop()

    start(work).finish()
    assert last_of(checkpointer) is not None


def test_an_error_is_logged_kept_and_raised_by_stop(caplog: pytest.LogCaptureFixture) -> None:
    failed = Calls()

    def take() -> float:
        failed()
        return 1 / 0

    checkpointer = Checkpointer(Freezer(), MemoryStore(), take, every=0.001)
    checkpointer.start()
    failed.wait_for(3)  # it goes on trying
    with pytest.raises(ZeroDivisionError):
        checkpointer.stop()
    assert isinstance(checkpointer.error, ZeroDivisionError)
    assert "a checkpoint in the background failed" in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_an_error_that_a_later_checkpoint_made_good_is_not_raised(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.CRITICAL)
    failed = Calls()
    divisor = [0]

    def take() -> float:
        failed()
        return 1 / divisor[0]

    checkpointer = Checkpointer(Freezer(), MemoryStore(), take, every=0.001)
    with checkpointer:
        failed.wait_for(1)
        divisor[0] = 1
        checkpointer.stop(final=True)
        assert checkpointer.error is None
    checkpointer.stop()


def test_the_end_of_a_block_raises_it_too_but_hides_no_other_error() -> None:
    failed = Calls()

    def take() -> float:
        failed()
        raise SystemExit(
            "of a take() that ends the program"
        )  # in a thread, it would end in silence

    checkpointer = Checkpointer(Freezer(), MemoryStore(), take, every=0.001)

    def use(error: Exception | None) -> None:
        with checkpointer:
            failed.wait_for(failed.count + 1)
            if error is not None:
                raise error

    with pytest.raises(SystemExit, match="of a take"):
        use(None)
    with pytest.raises(KeyError):
        use(KeyError("the block's own"))


class Clock:
    """A clock that moves only when somebody waits, or works."""

    def __init__(self, waits: int) -> None:
        self.now = 100.0
        self.waits = waits

    def monotonic(self) -> float:
        return self.now

    def wait(self, seconds: float) -> bool:
        """As `Event.wait`, of an event that is set after so many waits. Wakes a little early."""
        self.now += max(seconds - 1e-9, 0)
        self.waits -= 1
        return self.waits < 0

    def set(self) -> None:
        pass


def calls_of(monkeypatch: pytest.MonkeyPatch, durations: list[float]) -> list[float]:
    """When a schedule with an interval of 10 begins its calls, which last for so long each."""
    clock = Clock(len(durations))
    monkeypatch.setattr(_schedule, "monotonic", clock.monotonic)
    monkeypatch.setattr(_schedule, "Event", lambda: clock)
    begun: list[float] = []

    def work() -> None:
        begun.append(clock.now - 100)
        clock.now += durations[len(begun) - 1]

    _schedule.Schedule(10, work).stop()
    return [round(at, 3) for at in begun]


def test_the_rate_is_fixed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert calls_of(monkeypatch, [0, 3, 9.5, 1]) == [10, 20, 30, 40]


def test_calls_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    assert calls_of(monkeypatch, [25, 1, 10.5, 9, 1]) == [10, 40, 50, 70, 80]

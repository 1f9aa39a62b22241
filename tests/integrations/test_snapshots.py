"""Snapshots of the whole process: all stand, hooks are in force, and no time-out runs meanwhile."""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from fork_helpers import forked
from freezethreads import (
    FreezeError,
    Freezer,
    FreezeTimeout,
    HookFailed,
    State,
    default_freezer,
    sync,
)
from freezethreads._ground import deadline as deadline_module
from freezethreads._ground.deadline import Deadline
from freezethreads.integrations import snapshots
from freezing import Pause, actor, at_bell, looping, puppet
from helpers import WAIT, raise_once, start, wait_for, wait_until

JUMPS = pytest.mark.parametrize("jump", [1e6, -1e6], ids=["forwards", "backwards"])


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """The clock of all deadlines, which stands at its only element."""
    now = [2e6]
    monkeypatch.setattr(deadline_module, "monotonic", lambda: now[0])
    # What other tests have skipped is no round number.
    monkeypatch.setattr(deadline_module, "_clock", deadline_module._Clock(0.0, None))
    yield now
    assert deadline_module._clock.stopped_at is None


@pytest.fixture
def freezer() -> Iterator[Freezer]:
    freezer = Freezer()
    yield freezer
    assert not freezer.armed
    assert not snapshots._worlds


def test_all_stand_between_the_two_and_hooks_are_in_force(freezer: Freezer) -> None:
    calls: list[str] = []
    freezer.hook(lambda: calls.append("+"), lambda: calls.append("-"), phase=1e300)
    with looping(freezer, 2) as loops:
        snapshots.before_snapshot(freezer)
        assert calls == ["+"]
        assert {info.state for info in freezer.threads()} == {State.FROZEN}
        snapshots.after_restore(freezer)
        loops.progress()
        assert calls == ["+", "-"]
        snapshots.after_restore(freezer)
        freezer.freeze(timeout=WAIT).thaw()
    assert calls == ["+", "-"] * 2


def test_the_default_freezer() -> None:
    snapshots.before_snapshot()
    assert default_freezer.armed
    snapshots.after_restore()
    assert not default_freezer.armed


def test_what_fails_leaves_all_as_it_was(freezer: Freezer, clock: list[float]) -> None:
    with freezer.hook(raise_once(OSError)), pytest.raises(HookFailed):
        snapshots.before_snapshot(freezer)
    with freezer.freeze(), pytest.raises(FreezeError, match="inside a world"):
        snapshots.before_snapshot(freezer)
    with puppet(freezer), pytest.raises(FreezeTimeout):
        snapshots.before_snapshot(freezer, timeout=0)
    assert deadline_module._clock.stopped_at is None
    snapshots.before_snapshot(freezer)
    with pytest.raises(FreezeError, match=r"call after_restore\(\) first"):
        snapshots.before_snapshot(freezer)
    snapshots.after_restore(freezer)


def test_the_end_of_the_thread_starts_the_clock(freezer: Freezer, clock: list[float]) -> None:
    start(snapshots.before_snapshot, freezer).finish()
    wait_until(lambda: deadline_module._clock.stopped_at is None)
    with pytest.raises(FreezeError, match="thread gone"):
        snapshots.after_restore(freezer)


@JUMPS
def test_no_lease_runs_out_for_a_jump(freezer: Freezer, clock: list[float], jump: float) -> None:
    with looping(freezer, 1) as loops:
        hold = freezer.hold(timeout=WAIT, lease=5)
        clock[0] += 1
        (lease,) = hold._freeze.leases
        snapshots.before_snapshot(freezer)
        clock[0] += jump
        lease.ring()  # as the system does, where it is later
        assert lease.remaining() == 4
        snapshots.after_restore(freezer)
        assert lease.remaining() == 4
        assert not hold.expired
        clock[0] += 4
        lease.ring()
        loops.progress()
        assert hold.expired


@JUMPS
def test_no_wait_times_out_for_a_jump(
    freezer: Freezer, clock: list[float], monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    event = sync.Event()
    with puppet(freezer) as thread:
        asleep = at_bell(monkeypatch, thread.worker)
        waiting = thread.tell(event.wait, 5)
        wait_for(asleep)
        snapshots.before_snapshot(freezer)
        clock[0] += jump
        thread.record.rouse()  # as the system does, where it is later
        wait_until(lambda: thread.record.parking.word.value.stay is not None)
        snapshots.after_restore(freezer)
        freezer.freeze(timeout=WAIT).thaw()  # when it waits again
        event.set()
        assert waiting.result(WAIT) is True


@JUMPS
def test_who_waits_for_its_turn_goes_on_waiting(
    freezer: Freezer, clock: list[float], monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    pause = Pause()
    with puppet(freezer) as thread, actor() as first, actor() as second:
        busy = thread.tell(pause)
        pause.wait()
        asleep = at_bell(monkeypatch, first.worker)
        taking = first.tell(snapshots.before_snapshot, freezer)
        wait_for(asleep)
        asleep = at_bell(monkeypatch, second.worker)
        waiting = second.tell(freezer.freeze, timeout=5)
        wait_for(asleep)
        pause.go()
        busy.result(WAIT)
        over = threading.Event()
        passing = thread.pass_safepoints(over)
        taking.result(WAIT)
        clock[0] += jump
        for request in freezer._controller._turns.waiting():
            request.bell.ring()  # as the system does, where it is later
        first.do(snapshots.after_restore, freezer)
        waiting.result(WAIT).thaw()
        over.set()
        passing.result(WAIT)


def test_the_clock_goes_on_before_the_first_after(freezer: Freezer, clock: list[float]) -> None:
    """So that what is opened anew finds time-outs in order."""
    deadline = Deadline(5)
    left: list[float] = []
    freezer.hook(after=lambda: left.append(deadline.remaining()), phase=float("inf"))
    snapshots.before_snapshot(freezer)
    clock[0] += 1e6
    snapshots.after_restore(freezer)
    assert left == [5]


def test_in_the_child_of_a_fork_the_clock_goes_on(freezer: Freezer) -> None:
    snapshots.before_snapshot(freezer)

    def check() -> None:
        assert deadline_module._clock.stopped_at is None
        snapshots.after_restore(freezer)
        snapshots.before_snapshot(freezer)
        snapshots.after_restore(freezer)

    forked(lambda fork: fork(), check)
    snapshots.after_restore(freezer)


def test_snapstart(freezer: Freezer) -> None:
    """With Lambda's registry, and its runtime's order: back before a snapshot, forth after it."""
    runtime = pytest.importorskip("snapshot_restore_py")
    importlib.reload(runtime)  # nobody else's are there
    calls: list[str] = []

    def note(name: str) -> Callable[[], None]:
        def call() -> None:
            state = "frozen" if freezer.armed else "running"
            calls.append(f"{name}, {state}")

        return call

    runtime.register_before_snapshot(note("inner before"))
    runtime.register_after_restore(note("inner after"))
    snapshots.use_snapstart(freezer)
    runtime.register_before_snapshot(note("outer before"))
    runtime.register_after_restore(note("outer after"))
    before, after = runtime.get_before_snapshot(), runtime.get_after_restore()
    while before:
        fn, args, options = before.pop()
        fn(*args, **options)
    for fn, args, options in after:
        fn(*args, **options)
    assert calls == [
        "outer before, running",
        "inner before, frozen",
        "inner after, frozen",
        "outer after, running",
    ]


def test_without_the_runtime_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "snapshot_restore_py", None)
    with pytest.raises(ImportError, match=r"pip install snapshot-restore-py$"):
        snapshots.use_snapstart()

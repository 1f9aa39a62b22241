"""Debug mode: who stops with a lock is told so; and a report says whom a straggler waits for."""

from __future__ import annotations

import inspect
import io
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fork_helpers import forked
from freezethreads import Freezer, FreezeTimeout, SafepointViolation, State, sync
from freezethreads._report import ownership
from freezing import Puppet, puppet, puppets
from helpers import WAIT, run_python, start, wait_for

MUTEXES: list[Callable[[], Any]] = [sync.Lock, sync.RLock, sync.Condition]
every_mutex = pytest.mark.parametrize("make", MUTEXES, ids=lambda make: make.__name__)


@pytest.fixture(autouse=True)
def tracking_off(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A freezer in debug mode switches it on for good; not so for the tests that come after."""
    monkeypatch.setattr(ownership, "tracking", False)
    yield
    assert not ownership._acquired


@every_mutex
def test_a_safepoint_with_a_lock_owned_is_a_violation(make: Callable[[], Any]) -> None:
    freezer = Freezer(debug=True)
    mutex = make()
    with freezer.register():
        with mutex, pytest.raises(SafepointViolation) as caught:
            freezer.safepoint("here")
        freezer.safepoint("now it is free")
    message = str(caught.value)
    assert "Lock object" in message
    assert f"acquired at {__file__}:" in message
    assert "safepoint 'here' at" in message
    assert "in test_a_safepoint_with_a_lock_owned_is_a_violation" in message


@every_mutex
def test_a_blocking_region_with_a_lock_owned_is_a_violation(make: Callable[[], Any]) -> None:
    freezer = Freezer(debug=True)
    mutex = make()
    with freezer.register() as registration:
        violation = pytest.raises(SafepointViolation, match="blocking 'poll'")
        with mutex, violation, freezer.blocking("poll"):
            pytest.fail("it was entered")
        with freezer.blocking("poll"):
            pass
        registration.move("other")  # which it refuses inside a region


def test_every_lock_that_is_owned_is_named() -> None:
    freezer = Freezer(debug=True)
    first, second = sync.Lock(), sync.RLock()
    with freezer.register(), first, second, pytest.raises(SafepointViolation) as caught:
        freezer.safepoint()
    for lock in (first, second):
        assert f"{id(lock):#x}" in str(caught.value)


def test_a_lock_is_owned_until_its_last_release() -> None:
    freezer = Freezer(debug=True)
    lock = sync.RLock()
    with freezer.register():
        lock.acquire()
        line = inspect.currentframe().f_lineno - 1  # type: ignore[union-attr]
        lock.acquire()
        lock.release()
        with pytest.raises(SafepointViolation, match=f"acquired at {re.escape(__file__)}:{line} "):
            freezer.safepoint()
        lock.release()
        freezer.safepoint()


def test_another_threads_lock_is_no_violation() -> None:
    freezer = Freezer(debug=True)
    lock = sync.Lock()
    with puppets(freezer, "", "") as (owner, other):
        owner.do(lock.acquire)
        other.do(freezer.safepoint)
        other.do(lock.release)
        owner.do(freezer.safepoint)


def test_a_condition_is_not_owned_while_it_is_waited_for() -> None:
    freezer = Freezer(debug=True)
    condition = sync.Condition()

    def wait() -> bool:
        with condition:
            return condition.wait(WAIT)

    with puppet(freezer) as thread:
        waiting = thread.tell(wait)
        while thread.record.state is not State.BLOCKED:
            assert not waiting.done()
        assert not ownership._acquired
        with condition:
            condition.notify()
        assert waiting.result(WAIT)


def test_no_freeze_keeps_a_thread_from_stopping_and_so_from_violating() -> None:
    freezer = Freezer(debug=True)
    with freezer.register(), sync.Lock(), freezer.no_freeze():
        freezer.safepoint()
        with freezer.blocking():
            pass


def test_without_debug_mode_nothing_is_noted_and_nothing_is_refused() -> None:
    freezer = Freezer()
    with freezer.register(), sync.Lock(), sync.RLock():
        assert not ownership._acquired
        assert not freezer.armed
        freezer.safepoint()


def test_in_debug_mode_every_inline_poll_goes_to_the_safepoint() -> None:
    freezer = Freezer(debug=True)
    assert freezer.armed
    with puppet(freezer) as thread:
        freezer.todo(thread.worker, int)
        thread.do(freezer.safepoint)
    assert freezer.armed


def test_who_violates_is_not_stopped() -> None:
    freezer = Freezer(debug=True)
    with puppet(freezer) as thread:
        lock = sync.Lock()
        thread.do(lock.acquire)
        with pytest.raises(FreezeTimeout) as caught:
            freezer.freeze(timeout=0.05)
        assert [one.name for one in caught.value.stragglers] == [thread.worker.name]
        with pytest.raises(SafepointViolation):
            thread.do(freezer.safepoint)
        thread.do(lock.release)
        thread.do(freezer.safepoint)


@pytest.mark.parametrize(("value", "debug"), [("1", True), ("0", False), ("", False)])
def test_the_environment_decides_by_default(value: str, debug: bool) -> None:
    code = "import freezethreads as f; print(f.Freezer().armed, f.default_freezer.armed, end='')"
    result = run_python(code, env={"FREEZETHREADS_DEBUG": value})
    assert result.stdout == f"{debug} {debug}"


def test_the_default_freezers_functions_check_in_debug_mode() -> None:
    code = (
        "import freezethreads as f\n"
        "f.register()\n"
        "with f.sync.Lock():\n"
        "    try: f.safepoint()\n"
        "    except f.SafepointViolation: print('seen', end='')\n"
    )
    result = run_python("import freezethreads.sync\n" + code, env={"FREEZETHREADS_DEBUG": "1"})
    assert result.stdout == "seen"


def test_debug_is_true_false_or_none() -> None:
    with pytest.raises(TypeError, match="debug must be"):
        Freezer(debug=1)  # type: ignore[arg-type]


def wait_in_no_freeze(freezer: Freezer, lock: sync.Lock) -> None:
    with freezer.no_freeze(), lock:
        pass


def own_while(lock: sync.Lock, wait: Callable[[float], bool]) -> None:
    with lock:
        assert wait(WAIT)


def stragglers_of(
    freezer: Freezer, waiter: Puppet, lock: sync.Lock, let_go: Callable[[], object]
) -> str:
    """Have `waiter` wait for `lock` inside `no_freeze()`, freeze in vain; what is said of it."""
    waiting = waiter.tell(wait_in_no_freeze, freezer, lock)
    while ownership.awaited_by(waiter.record.ident) is not lock:
        assert not waiting.done()
    with pytest.raises(FreezeTimeout) as caught:
        freezer.freeze(timeout=0.05)
    let_go()
    waiting.result(WAIT)
    assert ownership.awaited_by(waiter.record.ident) is None
    (straggler,) = [one for one in caught.value.stragglers if one.ident == waiter.worker.ident]
    assert straggler.waits_for is not None
    assert straggler.waits_for in str(caught.value)
    return straggler.waits_for


@pytest.mark.parametrize("debug", [True, False])
def test_a_straggler_waits_for_a_lock_that_a_frozen_thread_has(debug: bool) -> None:
    freezer = Freezer(debug=debug)
    lock, over = sync.Lock(), sync.Event()
    with puppets(freezer, "", "") as (waiter, owner):
        owning = owner.tell(own_while, lock, over.wait)
        while owner.record.state is not State.BLOCKED:
            assert not owning.done()
        waits_for = stragglers_of(freezer, waiter, lock, over.set)
        owning.result(WAIT)
    assert f"held by {owner.worker.name}, frozen by this freeze" in waits_for
    assert ("acquired at" in waits_for) is debug


def test_a_straggler_waits_for_a_lock_whose_owner_runs_as_well() -> None:
    freezer = Freezer()
    lock, over, owned = sync.Lock(), threading.Event(), threading.Event()

    def wait(timeout: float) -> bool:
        owned.set()
        return over.wait(timeout)

    with puppets(freezer, "", "") as (waiter, owner):
        owning = owner.tell(own_while, lock, wait)
        wait_for(owned)
        waits_for = stragglers_of(freezer, waiter, lock, over.set)
        owning.result(WAIT)
    assert f"held by {owner.worker.name}, which runs as well" in waits_for


def test_a_lock_whose_owner_has_ended_may_bear_the_ident_of_who_waits_for_it() -> None:
    """The system gives a thread the ident of one that has ended."""
    freezer = Freezer()
    lock, late = sync.Lock(), io.StringIO()
    with puppet(freezer) as waiter:
        assert waiter.worker.ident is not None
        lock._waiters[0] = waiter.worker.ident

        def release() -> None:
            freezer.dump(late, timeout=0.05)
            lock.release()

        waits_for = stragglers_of(freezer, waiter, lock, release)
    assert waits_for.endswith(", held by itself, or by a thread that has ended")
    assert f"waits for {waits_for}\n" in late.getvalue()
    assert "  owns " not in late.getvalue()


def test_a_lock_whose_owner_has_ended_is_said_to_have_none() -> None:
    """Nobody else has got its ident: the waiter began before it ended."""
    freezer = Freezer()
    lock, late = sync.Lock(), io.StringIO()
    with puppet(freezer) as waiter:
        ended = start(lock.acquire)
        ended.finish()

        def release() -> None:
            freezer.dump(late, timeout=0.05)
            lock.release()

        waits_for = stragglers_of(freezer, waiter, lock, release)
    assert waits_for.endswith(f", held by thread {ended.ident}, which has ended")
    assert f"waits for {waits_for}\n" in late.getvalue()


def test_a_straggler_waits_for_a_lock_of_a_thread_that_is_not_covered() -> None:
    freezer = Freezer()
    lock = sync.Lock()
    with puppet(freezer) as waiter:
        lock.acquire()
        waits_for = stragglers_of(freezer, waiter, lock, lock.release)
    assert f"thread {threading.get_ident()}, which this freeze does not cover" in waits_for


def test_a_straggler_that_waits_for_no_lock() -> None:
    freezer = Freezer()
    release = threading.Event()
    with puppet(freezer) as thread:
        waiting = thread.tell(wait_for, release)
        with pytest.raises(FreezeTimeout) as caught:
            freezer.freeze(timeout=0.05)
        release.set()
        waiting.result(WAIT)
    assert [one.waits_for for one in caught.value.stragglers] == [None]


def test_the_child_of_a_fork_owns_what_its_thread_owned() -> None:
    freezer = Freezer(debug=True)
    mine, others = sync.Lock(), sync.Lock()

    def look() -> None:
        assert list(ownership._acquired) == [mine]
        with pytest.raises(SafepointViolation):
            freezer.safepoint()
        mine.release()

    with puppet(freezer) as thread, freezer.register():
        thread.do(others.acquire)
        mine.acquire()
        forked(lambda fork: fork(), look)
        mine.release()
        thread.do(others.release)

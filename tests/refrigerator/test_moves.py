"""Threads that are moved to another group from outside: while they run, wait, or stand frozen."""

from __future__ import annotations

import threading

import pytest

from freezethreads import FreezeError, Freezer, NotRegistered, Registration, State
from freezethreads._controller import world as world_module
from freezethreads._registry import status
from freezing import Pause, Puppet, actor, before, puppet
from helpers import WAIT, start, wait_for, wait_until


def parked(thread: Puppet) -> bool:
    """Whether it stands in the refrigerator, its own wait being over."""
    return thread.record.parking.word.value.stay is not None


def block_until(freezer: Freezer, over: threading.Event) -> None:
    """In the thread itself."""
    with freezer.blocking():
        wait_for(over)


def frozen_groups(freezer: Freezer) -> list[str]:
    """Where those are that stand."""
    return [info.group for info in freezer.threads() if info.state is State.FROZEN]


def test_moved_from_outside_into_a_held_group_it_stands_at_its_next_safepoint() -> None:
    freezer = Freezer()
    over = threading.Event()
    with puppet(freezer, "a") as thread, freezer.hold(group="b", timeout=WAIT):
        thread.registration.move("b")
        assert thread.record.state is State.RUNNING, "it has not been asked to wait"
        passing = thread.pass_safepoints(over)
        wait_until(lambda: thread.record.state is State.FROZEN)
        assert frozen_groups(freezer) == ["b"]
        thread.registration.move("c")
        wait_until(lambda: thread.record.state is State.RUNNING)
        over.set()
        passing.result(WAIT)


def test_moved_from_outside_into_a_held_group_a_blocked_thread_is_frozen_at_once() -> None:
    freezer = Freezer()
    over = threading.Event()
    with puppet(freezer, "a") as thread:
        waiting = thread.tell(block_until, freezer, over)
        wait_until(lambda: thread.record.state is State.BLOCKED)
        with freezer.hold(group="b", timeout=WAIT):
            thread.registration.move("b")
            assert thread.record.state is State.FROZEN
            over.set()
            wait_until(lambda: parked(thread))
            assert not waiting.done()
        waiting.result(WAIT)


def test_moved_from_one_held_group_to_another_it_does_not_run_in_between() -> None:
    """Whoever holds it next asks before the other lets it go."""
    freezer = Freezer()
    over = threading.Event()
    with puppet(freezer, "a") as thread, freezer.hold(group="b", timeout=WAIT) as second:
        passing = thread.pass_safepoints(over)
        with freezer.hold(group="a", timeout=WAIT):
            stay = thread.record.parking.word.value.stay
            assert stay is not None
            thread.registration.move("b")
        assert thread.record.parking.word.value.stay is stay
        over.set()
        assert not passing.done()
        second.thaw()
        passing.result(WAIT)


def test_a_freeze_that_waits_for_others_does_not_wait_for_one_that_comes_in_blocked() -> None:
    freezer = Freezer()
    over = threading.Event()
    with puppet(freezer, "b") as runs, puppet(freezer, "a") as thread, actor() as controller:
        holding = controller.tell(freezer.hold, group="b", timeout=WAIT)
        wait_until(lambda: runs.record.is_asked)
        waiting = thread.tell(block_until, freezer, over)
        wait_until(lambda: thread.record.state is State.BLOCKED)
        thread.registration.move("b")
        passing = runs.tell(freezer.safepoint)
        holding.result(WAIT).thaw()
        passing.result(WAIT)
        over.set()
        waiting.result(WAIT)


def test_a_freeze_that_waits_for_it_does_so_no_longer() -> None:
    freezer = Freezer()
    with puppet(freezer, "a") as thread, actor() as controller:
        freezing = controller.tell(freezer.hold, group="a", timeout=WAIT)
        wait_until(lambda: thread.record.is_asked)
        thread.registration.move("b")
        freezing.result(WAIT).thaw()
        assert not thread.record.is_asked


def test_a_freeze_that_was_asked_for_before_does_not_wait_for_one_that_comes_in_running() -> None:
    freezer = Freezer()
    with puppet(freezer, "b") as runs, puppet(freezer, "a") as thread, actor() as controller:
        holding = controller.tell(freezer.hold, group="b", timeout=WAIT)
        wait_until(lambda: runs.record.is_asked)
        thread.registration.move("b")
        passing = runs.tell(freezer.safepoint)
        hold = holding.result(WAIT)
        assert thread.record.state is State.RUNNING
        stopping = thread.tell(freezer.safepoint)
        wait_until(lambda: thread.record.state is State.FROZEN)
        hold.thaw()
        passing.result(WAIT)
        stopping.result(WAIT)


def test_one_that_is_asked_for_afterwards_waits_for_it() -> None:
    freezer = Freezer()
    with puppet(freezer, "a") as thread, actor() as controller:
        thread.registration.move("b")
        holding = controller.tell(freezer.hold, group="b", timeout=WAIT)
        wait_until(lambda: thread.record.is_asked)
        assert not holding.done()
        stopping = thread.tell(freezer.safepoint)
        holding.result(WAIT).thaw()
        stopping.result(WAIT)


def test_a_thread_that_runs_in_a_frozen_group_may_leave_it() -> None:
    freezer = Freezer()
    with puppet(freezer, "a") as thread, freezer.hold(group="b", timeout=WAIT):
        thread.registration.move("b")
        thread.do(thread.registration.move, "c")
        assert thread.record.state is State.RUNNING
        thread.registration.move("b")
        thread.do(freezer.unregister)  # without a safepoint
        assert not freezer.threads()
        thread.registration = thread.do(freezer.register, group="c")


def test_a_world_calls_in_a_thread_that_came_in_only_once_it_stands() -> None:
    freezer = Freezer()
    over = threading.Event()
    with puppet(freezer, "a") as thread, freezer.freeze(group="b", timeout=WAIT) as world:
        thread.registration.move("b")
        with pytest.raises(FreezeError, match="does not hold"):
            world.call(thread.worker, int)
        assert [info.state for info in world.threads] == [State.RUNNING]
        passing = thread.pass_safepoints(over)
        wait_until(lambda: thread.record.state is State.FROZEN)
        assert world.call(thread.worker, threading.get_ident) == thread.worker.ident
        over.set()
        world.thaw()
        passing.result(WAIT)


def test_moved_out_of_its_group_a_thread_makes_no_call_of_the_world_any_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    freezer = Freezer()
    with puppet(freezer, "b") as thread, actor() as controller:
        ready, over = threading.Event(), threading.Event()

        def command() -> None:
            with freezer.freeze(group="b", timeout=WAIT) as world:
                ready.set()
                with pytest.raises(FreezeError, match="moved"):
                    world.call(thread.worker, int)
                over.set()

        passing = thread.pass_safepoints(over)
        pause = Pause(controller.worker)
        before(monkeypatch, world_module, "_can_be_called", pause)
        commanding = controller.tell(command)
        pause.wait()
        wait_until(lambda: thread.record.state is State.FROZEN)
        thread.registration.move("a")
        pause.go()
        commanding.result(WAIT)
        passing.result(WAIT)


def test_moved_from_outside_when_it_has_left_it_is_asked_for_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    1. One moves it into a held group, and has found that the hold means it.
    2. It unregisters.
    3. The first one asks it.
    """
    freezer = Freezer()
    with puppet(freezer, "a") as thread, actor() as other, freezer.hold(group="b", timeout=WAIT):
        pause = Pause(other.worker)
        before(monkeypatch, status, "listed", pause)
        word = thread.record.parking.word
        moving = other.tell(thread.registration.move, "b")
        pause.wait()
        thread.do(freezer.unregister)
        pause.go()
        moving.result(WAIT)
        assert not word.value.freezes
        with pytest.raises(NotRegistered):
            thread.registration.move("c")
        thread.registration = thread.do(freezer.register, group="c")


def test_a_thread_that_is_reached_by_its_waker_alone_is_woken_when_it_is_moved() -> None:
    freezer = Freezer()
    woken = threading.Semaphore(0)
    over = threading.Event()

    def serve() -> None:
        with freezer.register("loop", group="a", waker=woken.release) as registration:
            registrations.append(registration)
            while not over.is_set():
                assert woken.acquire(timeout=WAIT)
                freezer.safepoint()

    registrations: list[Registration] = []
    loop = start(serve)
    wait_until(lambda: bool(registrations))
    with freezer.hold(group="b", timeout=WAIT):
        registrations[0].move("b")
        wait_until(lambda: frozen_groups(freezer) == ["b"])
        over.set()
    woken.release()
    loop.finish()

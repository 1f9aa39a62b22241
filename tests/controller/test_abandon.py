"""Promise 4: what a controller leaves standing, the freezer thaws, and says so in the log."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fork_helpers import looping, state_of
from freezethreads import FreezeError, Freezer, Hold, LeaseExpired, NotRegistered, State, World
from freezethreads._controller import controller
from freezethreads._controller.standing import Abandoned
from freezethreads._machine import trap
from freezethreads._registry.requests import Freeze
from freezethreads._report.observers import observers
from helpers import WAIT, Worker, start

Stopped = World | Hold
Stop = Callable[..., Stopped]


@pytest.fixture
def freezer() -> Freezer:
    return Freezer()


@pytest.fixture
def worker(freezer: Freezer) -> Iterator[Worker[None]]:
    """A registered thread in a loop."""
    with looping(freezer, "worker") as thread:
        yield thread


@pytest.fixture(params=["freeze", "hold"])
def stop(request: pytest.FixtureRequest, freezer: Freezer) -> Stop:
    """`freezer.freeze` or `freezer.hold`, for a reason and with a bound."""
    method: Stop = getattr(freezer, request.param)
    return lambda: method(reason="audit", timeout=WAIT)


def runs(freezer: Freezer, worker: Worker[None]) -> bool:
    """Whether a thread makes a todo: it runs, and is not frozen."""
    assert not freezer.armed
    return freezer.todo(worker, threading.get_ident).result(WAIT) == worker.ident


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the library logged: all of it must be warnings."""
    assert all(
        (record.name, record.levelno) == ("freezethreads", logging.WARNING)
        for record in caplog.records
    )
    return [record.getMessage() for record in caplog.records]


def assert_abandoned(caplog: pytest.LogCaptureFixture, why: str) -> None:
    """One warning: it has the reason, the holder, and why the freezer thawed."""
    (message,) = warnings_of(caplog)
    assert "'audit'" in message
    assert "by " + threading.current_thread().name in message or "by controller" in message
    assert why in message


def test_dropped_at_once(
    freezer: Freezer, worker: Worker[None], stop: Stop, caplog: pytest.LogCaptureFixture
) -> None:
    stop()
    assert runs(freezer, worker)
    assert_abandoned(caplog, "nobody refers to it any more")


def test_dropped_with_an_exception_in_the_middle(
    freezer: Freezer,
    stop: Stop,
    worker: Worker[None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody would come to do it again. It arrives all the same."""
    step, arrived = trap.close_doors, list[type[BaseException]]()

    def interrupted(*args: object) -> None:
        monkeypatch.setattr(controller, "close_doors", step)
        raise KeyboardInterrupt

    stopped: list[Stopped] = [stop()]
    monkeypatch.setattr(controller, "close_doors", interrupted)
    try:
        monkeypatch.setattr(sys, "unraisablehook", lambda report: arrived.append(report.exc_type))
        stopped.clear()
        assert runs(freezer, worker)
    except KeyboardInterrupt as error:
        arrived.append(type(error))
        assert runs(freezer, worker)
    assert arrived == [KeyboardInterrupt]


def test_an_observer_that_raises_is_reported_and_dropped(
    freezer: Freezer, worker: Worker[None], stop: Stop, caplog: pytest.LogCaptureFixture
) -> None:
    """The others are told, the threads run, and the thaw is logged as ever."""

    def fail(freeze: Freeze, why: str) -> None:
        raise ZeroDivisionError(why)

    abandoned = Abandoned()
    observers[fail] = None
    with abandoned:
        stop()
        assert runs(freezer, worker)
        stop()
        assert list(observers) == [abandoned.note]
    assert [message.count("nobody refers to it") for message in abandoned.messages] == [1, 1]
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING", "WARNING"]
    assert "ZeroDivisionError: nobody refers to it any more" in caplog.text
    assert not observers


def test_dropped_in_a_cycle(
    freezer: Freezer, worker: Worker[None], stop: Stop, caplog: pytest.LogCaptureFixture
) -> None:
    cycle: list[Any] = [stop()]
    cycle.append(cycle)
    del cycle
    gc.collect()
    assert runs(freezer, worker)
    assert_abandoned(caplog, "nobody refers to it any more")


def test_dropped_by_another_thread(
    freezer: Freezer, worker: Worker[None], stop: Stop, caplog: pytest.LogCaptureFixture
) -> None:
    stopped = [stop()]
    start(stopped.clear).finish()
    assert runs(freezer, worker)
    assert_abandoned(caplog, "nobody refers to it any more")


def test_dropped_inner_world_leaves_the_thaw_to_the_outer(
    freezer: Freezer, worker: Worker[None], caplog: pytest.LogCaptureFixture
) -> None:
    with freezer.freeze(timeout=WAIT):
        freezer.freeze()
        assert state_of(freezer, worker) is State.FROZEN
    assert runs(freezer, worker)
    assert warnings_of(caplog) == []


def test_thread_of_a_world_ends(
    freezer: Freezer, worker: Worker[None], caplog: pytest.LogCaptureFixture
) -> None:
    controller = start(lambda: freezer.freeze(reason="audit", timeout=WAIT), name="controller")
    world = controller.finish()
    assert runs(freezer, worker)
    assert_abandoned(caplog, "its thread has ended")
    world.thaw()
    assert len(caplog.records) == 1
    with pytest.raises(FreezeError, match="thread gone") as caught, world:
        pass
    assert not isinstance(caught.value, LeaseExpired)


def test_thread_of_a_world_fails(
    freezer: Freezer, worker: Worker[None], caplog: pytest.LogCaptureFixture
) -> None:
    kept = []

    def fail() -> None:
        kept.append(freezer.freeze(reason="audit", timeout=WAIT))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        start(fail, name="controller").finish()
    assert runs(freezer, worker)
    assert_abandoned(caplog, "its thread has ended")


def test_the_next_controller_gets_the_turn_of_one_that_died(
    freezer: Freezer, worker: Worker[None]
) -> None:
    dead = start(lambda: freezer.freeze(timeout=WAIT)).finish()
    with freezer.freeze(timeout=WAIT):
        assert state_of(freezer, worker) is State.FROZEN
        dead.thaw()
        del dead
        assert state_of(freezer, worker) is State.FROZEN


def test_a_hold_outlives_its_thread(
    freezer: Freezer, worker: Worker[None], caplog: pytest.LogCaptureFixture
) -> None:
    hold = start(lambda: freezer.hold(timeout=WAIT)).finish()
    assert state_of(freezer, worker) is State.FROZEN
    hold.thaw()
    assert runs(freezer, worker)
    assert warnings_of(caplog) == []


def test_a_thread_that_dies_frozen_waiting_for_its_turn_leaves_no_turn(freezer: Freezer) -> None:
    with freezer.freeze(timeout=WAIT):
        waits = start(lambda: freezer.freeze(timeout=0.01))
        with pytest.raises(TimeoutError):
            waits.finish()
    with freezer.freeze(timeout=WAIT):
        assert freezer.threads() == ()


def test_a_registered_thread_that_ends_without_a_word_is_dropped(freezer: Freezer) -> None:
    start(freezer.register).finish()
    assert freezer.threads() == ()
    with freezer.freeze(timeout=0) as world:
        assert world.threads == ()


def generator(stop: Stop) -> Iterator[Stopped]:
    with stop() as stopped:
        yield stopped


def test_in_a_generator_that_is_finished_closed_or_dropped(
    freezer: Freezer, worker: Worker[None], stop: Stop, caplog: pytest.LogCaptureFixture
) -> None:
    for stopped in generator(stop):
        assert state_of(freezer, worker) is State.FROZEN
        assert "standing" in repr(stopped)
    assert runs(freezer, worker)
    for end in (lambda g: g.close(), lambda g: None):
        suspended = generator(stop)
        next(suspended)
        assert state_of(freezer, worker) is State.FROZEN
        end(suspended)
        del suspended
        assert runs(freezer, worker)
    assert warnings_of(caplog) == []


def test_in_a_context_manager_made_of_a_generator(
    freezer: Freezer, worker: Worker[None], stop: Stop
) -> None:
    def fail() -> None:
        with contextlib.contextmanager(generator)(stop):
            assert state_of(freezer, worker) is State.FROZEN
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert runs(freezer, worker)


def test_in_an_exit_stack(
    freezer: Freezer, worker: Worker[None], stop: Stop, caplog: pytest.LogCaptureFixture
) -> None:
    with contextlib.ExitStack() as stack:
        stopped = stack.enter_context(stop())
        assert isinstance(stopped, (World, Hold))
        assert state_of(freezer, worker) is State.FROZEN
        later = stack.pop_all()
    assert state_of(freezer, worker) is State.FROZEN
    with pytest.raises(ZeroDivisionError), later:
        raise ZeroDivisionError
    assert runs(freezer, worker)
    stack.push(stop())
    assert state_of(freezer, worker) is State.FROZEN
    stack.close()
    assert runs(freezer, worker)
    assert warnings_of(caplog) == []


def test_in_an_async_exit_stack(
    freezer: Freezer, worker: Worker[None], stop: Stop, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with contextlib.AsyncExitStack() as stack:
            stack.enter_context(freezer.register("loop", group="asyncio"))
            stack.enter_context(stop())
            assert state_of(freezer, worker) is State.FROZEN
            await asyncio.sleep(0)
            assert state_of(freezer, worker) is State.FROZEN

    asyncio.run(main())
    assert runs(freezer, worker)
    assert warnings_of(caplog) == []
    with pytest.raises(NotRegistered):
        freezer.unregister()


def test_registration_and_regions_in_an_exit_stack(freezer: Freezer) -> None:
    me = threading.current_thread()
    with contextlib.ExitStack() as stack:
        stack.enter_context(freezer.register())
        stack.enter_context(freezer.blocking())
        assert state_of(freezer, me) is State.BLOCKED
        stack.enter_context(freezer.no_freeze())
        assert state_of(freezer, me) is State.RUNNING
        stack.enter_context(freezer.blocking())
        assert state_of(freezer, me) is State.RUNNING
    assert freezer.threads() == ()


def test_regions_in_a_generator_that_is_dropped(freezer: Freezer) -> None:
    me = threading.current_thread()

    def region(which: Callable[[], contextlib.AbstractContextManager[None]]) -> Iterator[State]:
        with which():
            yield state_of(freezer, me)

    with freezer.register():
        suspended = region(freezer.blocking)
        assert next(suspended) is State.BLOCKED
        del suspended
        assert state_of(freezer, me) is State.RUNNING
        suspended = region(freezer.no_freeze)
        assert next(suspended) is State.RUNNING
        del suspended
        assert freezer._registry.records[threading.get_ident()].shut == 0


def test_registration_in_a_generator_that_is_dropped(freezer: Freezer) -> None:
    def registered() -> Iterator[None]:
        with freezer.register():
            yield

    suspended = registered()
    next(suspended)
    assert len(freezer.threads()) == 1
    del suspended
    assert freezer.threads() == ()


def test_at_the_interpreters_end_nobody_looks_after_what_is_dropped(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """By then what is global may be gone, the logger among it, and nobody is left to be let go."""
    freezer = Freezer()
    with freezer.register():
        pass  # else a dummy of a thread that is gone may be told of, which nobody stops
    with freezer.hold(timeout=WAIT) as hold:
        hold.__del__(lambda: True)
        assert not hold._freeze.done
    assert not caplog.records

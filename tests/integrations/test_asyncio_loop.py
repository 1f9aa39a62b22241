"""An enrolled event loop: its thread stops between two callbacks, and makes its todos there."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import selectors
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from asyncio_loops import LoopThread, assert_still, run_in_default, running_loop
from freezethreads import (
    AlreadyRegistered,
    FreezeError,
    Freezer,
    FreezeTimeout,
    State,
)
from freezethreads.integrations import asyncio_loop
from helpers import WAIT, start, wait_for, wait_until


@pytest.fixture
def freezer() -> Freezer:
    return Freezer()


@pytest.fixture
def loop(freezer: Freezer) -> Iterator[LoopThread]:
    with running_loop(freezer, "io") as thread:
        yield thread


def states(freezer: Freezer) -> dict[str, State]:
    return {info.name: info.state for info in freezer.threads()}


# Stopping.


def test_a_loop_that_waits_in_select_stops(freezer: Freezer) -> None:
    class Selector(selectors.DefaultSelector):
        def select(self, timeout: float | None = None) -> Any:
            if timeout is None or timeout > WAIT:
                waits.set()
            return super().select(timeout)

    async def main() -> None:
        with asyncio_loop.enrol(freezer):
            await future

    waits = threading.Event()
    loop = asyncio.SelectorEventLoop(Selector())
    future: asyncio.Future[None] = loop.create_future()
    thread = start(loop.run_until_complete, main())
    wait_for(waits)
    with freezer.freeze(timeout=WAIT) as world:
        (info,) = world.threads
        assert info.state is State.FROZEN
        assert info.site is not None
        assert info.site.label == "between two callbacks"
        loop.call_soon_threadsafe(future.set_result, None)
        assert_still(future.done)
    thread.finish()
    loop.close()


def test_a_busy_loop_stops_between_two_callbacks(freezer: Freezer, loop: LoopThread) -> None:
    counts, inside = [0], [False]

    def callback() -> None:
        inside[0] = True
        counts[0] += 1
        inside[0] = False
        handle[0] = loop.loop.call_soon(callback)

    handle: list[asyncio.Handle] = []
    loop.do(lambda: handle.append(loop.loop.call_soon(callback)))
    tasks = [0]
    counting = loop.count(tasks)
    for _ in range(30):
        with freezer.freeze(timeout=WAIT):
            assert not inside[0]
            assert_still(lambda: (*counts, *tasks))
        before = counts[0]
        wait_until(lambda before=before: counts[0] > before and tasks[0] > before)  # type: ignore[misc]
    counting.cancel()
    loop.do(lambda: handle[0].cancel())


def test_two_loops_in_two_threads_stop_together(freezer: Freezer) -> None:
    with running_loop(freezer, "a") as one, running_loop(freezer, "b") as two:
        counts: list[list[int]] = [[0], [0]]
        tasks = [one.count(counts[0]), two.count(counts[1])]
        with freezer.freeze(timeout=WAIT, group="a"):
            assert_still(lambda: counts[0][0])
            before = counts[1][0]
            wait_until(lambda: counts[1][0] > before)
        with freezer.freeze(timeout=WAIT):
            assert_still(lambda: [*counts[0], *counts[1]])
        for task in tasks:
            task.cancel()


def test_a_callback_that_does_not_return_is_a_straggler(freezer: Freezer, loop: LoopThread) -> None:
    inside, over = threading.Event(), threading.Event()

    def straggle() -> None:
        inside.set()
        wait_for(over)

    done = loop.tell(straggle)
    wait_for(inside)
    with pytest.raises(FreezeTimeout) as caught:
        freezer.freeze(timeout=0)
    over.set()
    done.result(WAIT)
    (straggler,) = caught.value.stragglers
    assert straggler.name == "loop"
    assert any(entry.name == "straggle" for entry in straggler.stack)
    with freezer.freeze(timeout=WAIT):
        pass


def test_enrolling_in_a_frozen_group_waits_for_the_thaw(freezer: Freezer) -> None:
    async def main() -> None:
        with asyncio_loop.enrol(freezer):
            enrolled.set()

    enrolled = threading.Event()
    with freezer.freeze(timeout=WAIT):
        thread = start(asyncio.run, main())
        wait_until(lambda: len(freezer.threads()) == 1)
        assert_still(enrolled.is_set)
        assert not enrolled.is_set()
    thread.finish()


# Todos.


def test_a_todo_is_made_in_the_loops_thread_and_in_one_context(
    freezer: Freezer, loop: LoopThread
) -> None:
    variable = contextvars.ContextVar("variable", default="nobody's")
    variable.set("the asker's")

    def note(value: str) -> tuple[int, str]:
        before = variable.get()
        variable.set(value)
        return threading.get_ident(), before

    first = freezer.todo(loop.thread, note, "first").result(WAIT)
    second = freezer.todo(loop.thread, note, "second").result(WAIT)
    assert first == (loop.thread.ident, "nobody's")
    assert second == (loop.thread.ident, "first")
    assert loop.do(variable.get) == "the asker's"  # of a callback, as asyncio has it


def test_todos_of_a_closed_enrolment_fail(freezer: Freezer, loop: LoopThread) -> None:
    """
    1. A callback runs, so the todo that another thread puts on the list cannot be made.
    2. The callback closes the enrolment.
    """
    assert loop.enrolment is not None
    inside, asked = threading.Event(), threading.Event()

    def close() -> None:
        inside.set()
        wait_for(asked)
        loop.enrolment.close()  # type: ignore[union-attr]

    closing = loop.tell(close)
    wait_for(inside)
    todo = freezer.todo(loop.thread, int)
    asked.set()
    closing.result(WAIT)
    assert isinstance(todo.exception(WAIT), FreezeError)


# Bad input.


def test_enrolling_needs_a_running_loop(freezer: Freezer) -> None:
    with pytest.raises(RuntimeError, match="no running event loop"):
        asyncio_loop.enrol(freezer)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [({"group": "a..b"}, ValueError), ({"group": None}, TypeError), ({"name": 5}, TypeError)],
)
def test_bad_arguments_change_nothing(
    freezer: Freezer, arguments: dict[str, Any], error: type[Exception]
) -> None:
    async def main() -> None:
        former = concurrent.futures.ThreadPoolExecutor(1, "former")
        asyncio.get_running_loop().set_default_executor(former)
        with pytest.raises(error):
            asyncio_loop.enrol(freezer, **arguments)
        assert await run_in_default() == "former_0"
        assert not freezer.threads()

    asyncio.run(main())


def test_enrolling_twice_is_refused_and_changes_nothing(freezer: Freezer, loop: LoopThread) -> None:
    with pytest.raises(AlreadyRegistered):
        loop.do(asyncio_loop.enrol, freezer)
    assert loop.run(run_in_default()) == "asyncio_0"
    with freezer.freeze(timeout=WAIT) as world:
        assert len(world.threads) == 2


def test_a_loop_that_takes_no_executor_is_not_enrolled(freezer: Freezer) -> None:
    def refuse(executor: object) -> None:
        raise NotImplementedError

    async def main() -> None:
        patch.setattr(asyncio.get_running_loop(), "set_default_executor", refuse)
        with pytest.raises(NotImplementedError):
            asyncio_loop.enrol(freezer)
        assert not freezer.threads()

    with pytest.MonkeyPatch.context() as patch:
        asyncio.run(main())

"""A task that freezes and comes to its end on any way and at any moment: nobody is left frozen."""

from __future__ import annotations

import asyncio
import gc
import inspect
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncio_loops import running_loop
from freezethreads import FreezeError, Freezer, State
from freezethreads.integrations import asyncio_loop
from freezing import Puppet, actor, looping, puppet
from helpers import WAIT, start, wait_for, wait_until
from in_steps import wait_until_asked
from injection import Boom, Injection, injections, watching


@pytest.fixture
def freezer() -> Iterator[Freezer]:
    freezer = Freezer()
    yield freezer
    assert_free(freezer)


def assert_free(freezer: Freezer) -> None:
    """Nothing is asked of anybody, and nobody has the turn."""
    assert not freezer.armed
    assert not freezer._registry.active
    assert freezer._controller._turns.current is None


async def freeze_and_stay(freezer: Freezer, inside: Callable[[], object] = int) -> None:
    async with asyncio_loop.freeze(freezer, timeout=WAIT):
        inside()
        await asyncio.Event().wait()


# Cancelling.


def test_cancelled_while_it_waits_for_its_turn(freezer: Freezer) -> None:
    with running_loop(freezer) as loop, actor() as one, actor() as two:
        world = one.do(freezer.freeze, group="nobody", timeout=WAIT)
        task = loop.begin(freeze_and_stay(freezer))
        wait_until(lambda: len(freezer._controller._turns.queue) == 2)
        last = two.tell(freezer.freeze, group="nobody", timeout=WAIT)
        wait_until(lambda: len(freezer._controller._turns.queue) == 3)
        task.cancel()
        loop.settle()
        one.do(world.thaw)
        two.do(last.result(WAIT).thaw)


def test_cancelled_while_it_waits_for_a_straggler(freezer: Freezer) -> None:
    with running_loop(freezer) as loop, puppet(freezer) as runs, puppet(freezer) as stands:
        task = loop.begin(freeze_and_stay(freezer))
        wait_until_asked(stands)
        standing = stands.tell(freezer.safepoint)
        wait_until(lambda: State.FROZEN in {info.state for info in freezer.threads()})
        task.cancel()
        standing.result(WAIT)
        wait_until(lambda: not freezer.armed)
        runs.do(freezer.safepoint)


def test_cancelled_inside_the_block(freezer: Freezer) -> None:
    inside = threading.Event()
    with running_loop(freezer) as loop, looping(freezer, 1) as loops:
        task = loop.begin(freeze_and_stay(freezer, inside.set))
        wait_for(inside)
        task.cancel()
        loops.progress()


@given(steps=st.integers(0, 12), tasks=st.integers(1, 3), again=st.booleans())
def test_cancelled_after_any_number_of_steps(steps: int, tasks: int, again: bool) -> None:
    """The loop comes round so many times while the tasks freeze in turn, then all are cancelled."""

    freezer = Freezer()
    over = threading.Event()

    async def freeze_twice() -> None:
        async with asyncio_loop.freeze(freezer, timeout=WAIT):
            await asyncio.sleep(0)
            if again:
                async with asyncio_loop.freeze(freezer):
                    await asyncio.sleep(0)
            await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def main() -> None:
        running = [asyncio.create_task(freeze_twice()) for _ in range(tasks)]
        for _ in range(steps):
            await asyncio.sleep(0)
        for task in running:
            task.cancel()
        await asyncio.wait(running)
        assert_free(freezer)
        async with asyncio_loop.freeze(freezer, timeout=WAIT):
            pass

    with puppet(freezer) as thread:
        passing = thread.pass_safepoints(over)
        asyncio.run(main())
        over.set()
        passing.result(WAIT)
    assert_free(freezer)


def test_cancelled_in_the_step_in_which_all_stand(freezer: Freezer) -> None:
    """
    1. The last thread stops, and the loop is told to look.
    2. Before the task looks, it is cancelled.
    """

    async def main(thread: Puppet) -> None:
        task = asyncio.create_task(freeze_and_stay(freezer))
        while not freezer.armed:
            await asyncio.sleep(0)
        standing = thread.tell(freezer.safepoint)
        wait_until(lambda: thread.record.state is State.FROZEN)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        standing.result(WAIT)

    with puppet(freezer) as thread:
        asyncio.run(main(thread))


# The end of the task, and of the loop.


def abandon(freezer: Freezer, stage: str) -> tuple[Any, list[Any]]:
    """A loop that was stopped while its task waits for the others to stop, or is in its block."""
    loop = asyncio.new_event_loop()
    inside: list[int] = []

    async def main() -> None:
        task = asyncio.create_task(freeze_and_stay(freezer, lambda: inside.append(1)))
        tasks.append(task)
        while not (inside if stage == "inside" else freezer.armed):
            await asyncio.sleep(0)

    tasks: list[Any] = []
    loop.run_until_complete(main())
    return loop, tasks


@pytest.mark.parametrize("stage", ["waiting", "inside"])
def test_closing_the_loop_lets_everybody_go(freezer: Freezer, stage: str) -> None:
    with looping(freezer, 2) as loops, puppet(freezer) as thread:
        over = threading.Event()
        blocked = thread.block(over) if stage == "inside" else None
        loop, tasks = abandon(freezer, stage)
        assert freezer.armed
        loop.close()
        loops.progress()
        over.set()
        if blocked is not None:
            blocked.result(WAIT)
        thread.do(freezer.safepoint)
        assert_free(freezer)
        drop(tasks)


def drop(tasks: list[Any]) -> None:
    """Let go of tasks that were left pending; asyncio complains."""
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    tasks.clear()
    gc.collect()
    logging.getLogger("asyncio").setLevel(logging.NOTSET)


def test_dropping_the_task_inside_its_block_lets_everybody_go(freezer: Freezer) -> None:
    with looping(freezer, 2) as loops:
        loop, tasks = abandon(freezer, "inside")
        assert freezer.armed
        drop(tasks)
        loops.progress()
        loop.close()


def test_a_loop_that_does_not_run_when_all_stand_lets_them_go(
    freezer: Freezer, caplog: pytest.LogCaptureFixture
) -> None:
    with looping(freezer, 1) as loops, puppet(freezer) as thread:
        loop, tasks = abandon(freezer, "waiting")
        thread.do(freezer.safepoint)
        loops.progress()
        assert "its loop does not run" in caplog.text
        with pytest.raises(FreezeError, match="given up"):
            loop.run_until_complete(tasks[0])
        loop.close()


# Exceptions from outside.


def functions() -> Iterator[Callable[..., object]]:
    """Those of the module and of the core, and the methods of their classes."""
    names = [name for name in sys.modules if name.startswith("freezethreads._")]
    for name in (asyncio_loop.__name__, *names):
        for value in vars(sys.modules[name]).values():
            if getattr(value, "__module__", None) == name:
                found = vars(value).values() if isinstance(value, type) else [value]
                yield from filter(inspect.isfunction, found)


@contextmanager
def obliging(freezer: Freezer) -> Iterator[threading.Thread]:
    """A thread that runs and waits in no region, and passes a safepoint whenever it is asked."""

    def oblige() -> None:
        with freezer.register(waker=asked.set):
            ready.set()
            while not over.is_set():
                asked.wait()
                asked.clear()
                freezer.safepoint()

    asked, ready, over = threading.Event(), threading.Event(), threading.Event()
    thread = start(oblige)
    wait_for(ready)
    yield thread
    over.set()
    asked.set()
    thread.finish()


def test_an_exception_anywhere_leaves_nobody_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    freezer = Freezer()

    async def main(injection: Injection) -> None:
        with asyncio_loop.enrol(freezer), injection:
            async with asyncio_loop.freeze(freezer, timeout=WAIT):
                await asyncio.sleep(0)

    # Python reports an exception in `__del__`, and goes on.
    unseen: set[type[BaseException]] = set()
    monkeypatch.setattr(sys, "unraisablehook", lambda report: unseen.add(report.exc_type))
    hits = 0
    with obliging(freezer) as thread, watching(*functions()):
        for injection in injections():
            try:
                asyncio.run(main(injection))
            except Boom as boom:
                # Here, since what the traceback refers to is still alive.
                check_after(freezer, thread, boom)
            hits += injection.hit is not None
    assert hits > 1000
    gc.collect()
    # What was cut short as it was made, and what was made and not awaited.
    assert unseen <= {Boom, AttributeError, RuntimeWarning}


def check_after(freezer: Freezer, thread: threading.Thread, boom: Boom) -> None:
    try:
        assert_free(freezer)
        freezer.todo(thread, int).result(WAIT)
        with freezer.freeze(timeout=WAIT) as world:
            assert len(world.threads) == 1
    except BaseException as error:
        error.add_note(f"after an exception {boom}")
        raise

"""Blocks in blocks, in one task and in several: the world stands until the last of them is left.

However they end: one by one, in any order, cancelled, or with their loop, in whichever thread that
ends. Afterwards everybody goes on, and the loop's thread can be frozen.
"""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
import types
import warnings
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from asyncio_loops import LoopThread, assert_still, running_loop
from freezethreads import Freezer, State
from freezethreads._controller.controller import Controller
from freezethreads.integrations import asyncio_loop
from freezing import looping
from helpers import WAIT, start, wait_for, wait_until


@pytest.fixture
def freezer() -> Freezer:
    return Freezer()


@pytest.fixture
def loop(freezer: Freezer) -> Iterator[LoopThread]:
    with running_loop(freezer) as thread:
        yield thread


class Step:
    """A block that is entered when its task begins, and left when it is told to."""

    def __init__(self, freezer: Freezer) -> None:
        self._freezer = freezer
        self.inside = threading.Event()
        self.out = threading.Event()
        self.leave = asyncio.Event()
        self.task: asyncio.Task[None]

    async def run(self, *inner: Step, join: bool = False) -> None:
        async with asyncio_loop.freeze(self._freezer, timeout=WAIT):
            for step in inner:
                step.task = asyncio.create_task(step.run())
            self.inside.set()
            await self.leave.wait()
            if join:
                await asyncio.gather(*(step.task for step in inner))
        self.out.set()

    def let(self, loop: LoopThread) -> None:
        """Have it leave, and wait until it is out."""
        loop.do(self.leave.set)
        wait_for(self.out)


def check_freezable(freezer: Freezer) -> None:
    """Everybody can be stopped, and nothing stays armed."""
    with freezer.freeze(timeout=WAIT) as world:
        assert {info.state for info in world.threads} <= {State.FROZEN}
    assert not freezer.armed


def begin(loop: LoopThread, *steps: Step) -> Any:
    """Enter the first, and the others in it."""
    future = loop.begin(steps[0].run(*steps[1:]))
    for step in steps:
        wait_for(step.inside)
    return future


@pytest.mark.parametrize("order", ["outer first", "inner first"])
def test_the_world_stands_until_the_last_is_left(
    freezer: Freezer, loop: LoopThread, order: str
) -> None:
    outer, inner = Step(freezer), Step(freezer)
    with looping(freezer, 1) as others:
        future = begin(loop, outer, inner)
        first, last = (outer, inner) if order == "outer first" else (inner, outer)
        first.let(loop)
        assert_still(lambda: others.counts[0])
        last.let(loop)
        future.result(WAIT)
        others.progress()
        check_freezable(freezer)


@pytest.mark.parametrize("order", ["outer first", "inner first"])
def test_a_hold_comes_after_the_last_block(freezer: Freezer, loop: LoopThread, order: str) -> None:
    """
    1. One of two blocks is left. Its task is done, and the other still shares the world.
    2. A thread asks for a hold of all. It must not get it while the loop is in a block, which is
       not the loop's to know of: the loop goes on meanwhile, and leaves the last block.
    """
    outer, inner = Step(freezer), Step(freezer)
    future = begin(loop, outer, inner)
    first, last = (outer, inner) if order == "outer first" else (inner, outer)
    first.let(loop)
    seen: list[bool] = []

    def hold() -> None:
        with freezer.hold(timeout=WAIT):
            seen.append(last.leave.is_set())

    holding = start(hold)
    wait_until(lambda: len(freezer._registry.active) == 2)
    loop.settle()
    assert not seen
    loop.do(last.leave.set)
    holding.finish()
    assert seen == [True]
    future.result(WAIT)
    check_freezable(freezer)


@pytest.mark.parametrize("join", [False, True], ids=["apart", "joined"])
def test_a_registered_thread_asks_for_a_hold_before_the_world_stands(
    freezer: Freezer, loop: LoopThread, monkeypatch: pytest.MonkeyPatch, join: bool
) -> None:
    """
    1. The loop has its turn, and is about to ask the others to stop.
    2. X, which is registered, asks for a hold of all, and waits, so it counts as stopped.
    3. The world stands. X waits for the loop, and cannot go on before the thaw.
    4. The outer block is left while a task in it shares the world. If the loop stopped for X here,
       neither would ever go on.
    """
    outer, inner = Step(freezer), Step(freezer)
    arm = Controller._arm
    asked, ask = threading.Event(), threading.Event()

    def hold() -> None:
        with freezer.register("X"):
            with freezer.blocking():
                wait_for(ask)
            with freezer.hold(timeout=WAIT):
                pass

    def armed(self: Controller, freeze: Any) -> None:
        if threading.current_thread() is loop.thread and not ask.is_set():
            ask.set()
            wait_for(asked)
        arm(self, freeze)
        if threading.current_thread() is x:
            asked.set()

    monkeypatch.setattr(Controller, "_arm", armed)
    x = start(hold)
    wait_until(lambda: any(info.name == "X" for info in freezer.threads()))
    future = loop.begin(outer.run(inner, join=join))
    wait_for(inner.inside)
    loop.do(outer.leave.set)
    if not join:
        wait_for(outer.out)
    loop.settle()
    inner.let(loop)
    future.result(WAIT)
    x.finish()
    check_freezable(freezer)


def test_a_block_in_a_block_that_shares_the_world_of_one_that_has_ended(
    freezer: Freezer, loop: LoopThread
) -> None:
    """It would wait for a turn that comes when its own task leaves the block around it."""
    inside, leave = asyncio.Event(), asyncio.Event()

    async def enter() -> None:
        async with asyncio_loop.freeze(freezer, timeout=0):
            pass

    async def share() -> None:
        async with asyncio_loop.freeze(freezer, timeout=WAIT):
            inside.set()
            await leave.wait()
            await enter()
            await asyncio.create_task(enter())

    async def main() -> None:
        async with asyncio_loop.freeze(freezer, timeout=WAIT):
            task = asyncio.create_task(share())
            await inside.wait()
        leave.set()
        await task

    loop.run(main())
    check_freezable(freezer)


def test_a_coroutine_that_is_closed_in_another_task_s_block(
    freezer: Freezer, loop: LoopThread
) -> None:
    """As the collector may close it. The other task is in its own block as before."""

    @types.coroutine
    def stop() -> Iterator[None]:
        yield

    async def dropped() -> None:
        async with asyncio_loop.freeze(Freezer(), timeout=WAIT):
            await stop()

    async def main() -> None:
        async with asyncio_loop.freeze(freezer, timeout=WAIT):
            coroutine = dropped()
            contextvars.Context().run(coroutine.send, None)
            async with asyncio_loop.freeze(freezer, timeout=0):
                coroutine.close()
                async with asyncio_loop.freeze(freezer, timeout=0):
                    pass

    loop.run(main())
    check_freezable(freezer)


@pytest.mark.parametrize("who", ["outer", "inner", "both"])
def test_cancelled(freezer: Freezer, loop: LoopThread, who: str) -> None:
    outer, inner = Step(freezer), Step(freezer)
    with looping(freezer, 1) as others:
        future = begin(loop, outer, inner)
        if who != "inner":
            future.cancel()
        if who != "outer":
            loop.do(inner.task.cancel)
        loop.settle()
        if who != "both":
            assert_still(lambda: others.counts[0])
        loop.do(inner.leave.set)
        loop.do(outer.leave.set)
        others.progress()
        check_freezable(freezer)


# The end of a loop that nobody runs any more.


def stop_in_two_blocks(freezer: Freezer, box: list[asyncio.AbstractEventLoop]) -> None:
    """Run a loop until of two blocks the outer one is left. Only `box` knows of it then."""
    loop = asyncio.new_event_loop()
    outer, inner = Step(freezer), Step(freezer)

    async def main() -> None:
        running = asyncio.create_task(outer.run(inner))
        while not inner.inside.is_set():
            await asyncio.sleep(0)
        outer.leave.set()
        await running
        loop.stop()

    task = loop.create_task(main())
    loop.run_forever()
    del task
    assert outer.out.is_set()
    assert not inner.out.is_set()
    box.append(loop)


def stop_in_a_block(freezer: Freezer, box: list[asyncio.AbstractEventLoop]) -> None:
    """The same in one."""
    loop = asyncio.new_event_loop()

    async def main() -> None:
        async with asyncio_loop.freeze(freezer, timeout=WAIT):
            loop.stop()
            await loop.create_future()

    task = loop.create_task(main())
    loop.run_forever()
    del task
    box.append(loop)


def close(box: list[asyncio.AbstractEventLoop]) -> None:
    box[0].close()


def drop(box: list[asyncio.AbstractEventLoop]) -> None:
    box.clear()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # nobody has closed it
        for _ in range(3):  # what a finaliser has touched is collected the next time
            gc.collect()


# A loop that nobody has closed says so, and may find its sockets closed before itself.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("stop", [stop_in_a_block, stop_in_two_blocks])
@pytest.mark.parametrize("end", [close, drop])
@pytest.mark.parametrize("where", ["its own thread", "another thread"])
def test_a_loop_that_ends_in_a_block(
    freezer: Freezer,
    stop: Callable[[Freezer, list[asyncio.AbstractEventLoop]], None],
    end: Callable[[list[asyncio.AbstractEventLoop]], None],
    where: str,
) -> None:
    box: list[asyncio.AbstractEventLoop] = []
    loops: list[weakref.ref[asyncio.AbstractEventLoop]] = []
    stopped, over, ended = threading.Event(), threading.Event(), threading.Event()

    def live() -> None:
        with freezer.register("T"):
            stop(freezer, box)
            if where == "its own thread":
                stopped.set()
                wait_for(over)
                end(box)
                over.clear()
            stopped.set()
            while not ended.is_set():
                freezer.safepoint()

    gc.disable()  # so that the collector does not come before, and elsewhere
    try:
        with looping(freezer, 1) as others:
            thread = start(live)
            wait_for(stopped)
            loops.append(weakref.ref(box[0]))
            assert_still(lambda: others.counts[0])
            if where == "its own thread":
                over.set()
            else:
                end(box)
            others.progress()
            check_freezable(freezer)
            ended.set()
            thread.finish()
    finally:
        gc.enable()
        for weak in loops:
            if loop := weak():
                loop.close()


def test_a_word_that_comes_when_the_loop_was_stopped_in_its_block(freezer: Freezer) -> None:
    """
    1. The last thread has stopped, and is about to tell the loop.
    2. The loop was told of another one, looks, and enters its block, in which it is stopped.
    3. The word comes. The loop does not run, but it has its world, and will run again.
    """
    block = asyncio_loop.freeze(freezer, timeout=WAIT)
    over = asyncio.Event()
    ours = asyncio.new_event_loop()

    async def main() -> None:
        async with block:
            ours.stop()
            await over.wait()

    with looping(freezer, 1) as others:
        task = ours.create_task(main())
        ours.run_forever()
        start(block._request._freeze.bell.ring).finish()  # type: ignore[attr-defined]
        assert_still(lambda: others.counts[0])
        over.set()
        ours.run_until_complete(task)
        ours.close()
        others.progress()
        check_freezable(freezer)


def test_a_thread_whose_enrolled_loop_is_closed_elsewhere_is_not_waited_for(
    freezer: Freezer,
) -> None:
    """Nothing brings it to a safepoint any more."""
    loop = asyncio.new_event_loop()
    stopped, ended = threading.Event(), threading.Event()

    async def enrol() -> asyncio_loop.Enrolment:
        return asyncio_loop.enrol(freezer)

    def live() -> None:
        enrolment = loop.run_until_complete(enrol())
        stopped.set()
        while not ended.is_set():
            pass  # without a GIL, what another thread drops is gone when this one runs
        enrolment.close()
        with freezer.register("again"):
            freezer.safepoint()

    thread = start(live)
    wait_for(stopped)
    assert freezer.threads()
    loop.close()
    try:
        wait_until(lambda: not freezer.threads())
        check_freezable(freezer)
    finally:
        ended.set()
        thread.finish()

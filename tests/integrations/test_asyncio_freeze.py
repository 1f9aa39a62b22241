"""`async with freeze()`: the other threads stand, and the loop goes on."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from asyncio_loops import Block, LoopThread, assert_still, run_in_default, running_loop
from freezethreads import (
    FreezeError,
    Freezer,
    FreezeTimeout,
    LeaseExpired,
    State,
    World,
    default_freezer,
)
from freezethreads.integrations import asyncio_loop
from freezing import left_at_rest, looping, puppet
from helpers import WAIT, wait_for, wait_until
from in_steps import wait_until_asked


@pytest.fixture
def freezer() -> Iterator[Freezer]:
    with left_at_rest() as freezer:
        yield freezer


@pytest.fixture(params=[True, False], ids=["enrolled", "not enrolled"])
def loop(freezer: Freezer, request: pytest.FixtureRequest) -> Iterator[LoopThread]:
    with running_loop(freezer, enrolled=request.param) as thread:
        yield thread


# What stands and what goes on.


def test_other_threads_stand_and_the_loop_goes_on(freezer: Freezer, loop: LoopThread) -> None:
    mine, theirs = [0], [0]
    with looping(freezer, 2) as loops, running_loop(freezer) as other:
        tasks = [loop.count(mine), other.count(theirs)]
        block = Block(loop, reason="look")
        wait_for(block.inside)
        before = mine[0]
        assert_still(lambda: [*loops.counts, *theirs])
        wait_until(lambda: mine[0] > before)
        block.leave()
        loops.progress()
        for task in tasks:
            task.cancel()


def test_the_world_is_that_of_the_loops_thread(freezer: Freezer, loop: LoopThread) -> None:
    async def main() -> World:
        async with asyncio_loop.freeze(freezer, reason="look", timeout=WAIT) as world:
            assert world.reason == "look"
            assert [info.state for info in world.threads] == [State.FROZEN]
            assert threading.current_thread() not in world.unregistered
            assert world.call(thread.worker, threading.get_ident) == thread.worker.ident
        return world

    with puppet(freezer) as thread:
        running = threading.Event()
        passing = thread.pass_safepoints(running)
        world = loop.run(main())
        assert "thawed" in repr(world)
        running.set()
        passing.result(WAIT)


def test_the_loop_goes_on_while_the_others_stop(freezer: Freezer, loop: LoopThread) -> None:
    counts = [0]
    with puppet(freezer) as thread:
        counting = loop.count(counts)
        block = Block(loop)
        wait_until_asked(thread)
        before = counts[0]
        wait_until(lambda: counts[0] > before)
        assert not block.inside.is_set()
        standing = thread.tell(freezer.safepoint)
        wait_for(block.inside)
        block.leave()
        standing.result(WAIT)
        counting.cancel()


def test_only_the_group_stands(freezer: Freezer, loop: LoopThread) -> None:
    with looping(freezer, 1, "a") as loops, looping(freezer, 1, "b") as others:
        block = Block(loop, group="a")
        wait_for(block.inside)
        assert_still(lambda: list(loops.counts))
        others.progress()
        block.leave()


def test_none_is_the_default_freezer(loop: LoopThread) -> None:
    async def main() -> None:
        async with asyncio_loop.freeze():
            assert default_freezer.armed

    loop.run(main())
    assert not default_freezer.armed


def test_a_block_leaves_nothing_behind(freezer: Freezer, loop: LoopThread) -> None:
    async def main() -> None:
        patch.setattr(loop.loop, "call_later", note)
        block = asyncio_loop.freeze(freezer, timeout=WAIT)
        async with block:
            assert asyncio_loop._blocks.get() == (block,)
        assert asyncio_loop._blocks.get() == ()
        with pytest.raises(FreezeError, match="entered before"):
            await block.__aenter__()

    def note(*args: Any) -> asyncio.TimerHandle:
        timers.append(later(*args))
        if len(timers) == 2:  # it waits for the thread
            thread.tell(freezer.safepoint)
        return timers[-1]

    timers: list[asyncio.TimerHandle] = []
    later = loop.loop.call_later
    with puppet(freezer) as thread, pytest.MonkeyPatch.context() as patch:
        loop.run(main())
    assert [timer.cancelled() for timer in timers] == [True, True]


# Errors.


def test_a_straggler_is_named_and_everybody_is_let_go(freezer: Freezer, loop: LoopThread) -> None:
    with looping(freezer, 1) as loops, puppet(freezer) as thread:
        block = Block(loop, timeout=0.05)
        error = block.task.exception(WAIT)
        assert isinstance(error, FreezeTimeout)
        assert thread.worker.name in {each.name for each in error.stragglers}
        assert not freezer.armed
        loops.progress()
        assert freezer.statistics().timeouts == 1


@pytest.mark.parametrize("timeout", [None, float("inf"), 1e12])
def test_a_time_out_may_be_long(freezer: Freezer, loop: LoopThread, timeout: float | None) -> None:
    with looping(freezer, 1):
        block = Block(loop, timeout=timeout)
        wait_for(block.inside)
        block.leave()


def test_the_block_of_an_expired_lease_ends_in_an_error(freezer: Freezer, loop: LoopThread) -> None:
    with looping(freezer, 1) as loops:
        block = Block(loop, lease=0.05)
        loops.progress()
        wait_for(block.inside)
        wait_until(lambda: not freezer.armed)
        with pytest.raises(LeaseExpired):
            block.leave()


def test_an_exception_in_the_block_thaws(freezer: Freezer, loop: LoopThread) -> None:
    async def main() -> None:
        async with asyncio_loop.freeze(freezer, timeout=WAIT):
            raise ZeroDivisionError

    with looping(freezer, 1) as loops:
        with pytest.raises(ZeroDivisionError):
            loop.run(main())
        loops.progress()


@pytest.mark.parametrize(
    "arguments",
    [{"timeout": -1}, {"timeout": "1"}, {"lease": 0}, {"group": ".a"}, {"reason": None}],
)
@pytest.mark.parametrize("again", [False, True])
def test_bad_arguments(
    freezer: Freezer, loop: LoopThread, arguments: dict[str, Any], again: bool
) -> None:
    async def main() -> None:
        with pytest.raises((TypeError, ValueError)):
            await asyncio_loop.freeze(freezer, **arguments).__aenter__()

    async def inside() -> None:
        async with asyncio_loop.freeze(freezer):
            await main()

    loop.run(inside() if again else main())
    assert loop.run(run_in_default())

"""Controllers of every kind take turns: tasks of one loop, of two, and other threads."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from asyncio_loops import Block, LoopThread, assert_still, running_loop
from freezethreads import FreezeError, Freezer
from freezethreads.integrations import asyncio_loop
from freezing import actor, left_at_rest, looping, puppet
from helpers import WAIT, start, wait_for, wait_until
from in_steps import wait_until_asked


@pytest.fixture
def freezer() -> Iterator[Freezer]:
    with left_at_rest() as freezer:
        yield freezer


@pytest.fixture(params=[True, False], ids=["enrolled", "not enrolled"])
def loop(freezer: Freezer, request: pytest.FixtureRequest) -> Iterator[LoopThread]:
    with running_loop(freezer, enrolled=request.param) as thread:
        yield thread


def test_tasks_of_one_loop_take_turns(freezer: Freezer, loop: LoopThread) -> None:
    with looping(freezer, 1):
        blocks = [Block(loop) for _ in range(3)]
        for block in blocks:
            wait_for(block.inside)
            loop.settle()
            assert sum(each.inside.is_set() and not each.task.done() for each in blocks) == 1
            block.leave()


def test_a_coroutine_and_another_thread_take_turns(freezer: Freezer, loop: LoopThread) -> None:
    with looping(freezer, 1), actor() as other:
        world = other.do(freezer.freeze, timeout=WAIT)  # which stops the loop, if it is enrolled
        block = Block(loop)
        assert_still(block.inside.is_set)
        other.do(world.thaw)
        wait_for(block.inside)
        next_world = other.tell(freezer.freeze, timeout=WAIT)
        assert_still(next_world.done)
        block.leave_soon()
        other.do(next_world.result(WAIT).thaw)
        block.leave()


def test_many_freezers_of_many_kinds_never_overlap(freezer: Freezer) -> None:
    inside: list[int] = []
    rounds = 40

    def enter() -> None:
        inside.append(threading.get_ident())
        assert len(inside) == 1
        for _ in range(20):
            assert inside == [threading.get_ident()]
        inside.pop()

    async def freeze_often() -> None:
        for _ in range(rounds):
            async with asyncio_loop.freeze(freezer, timeout=WAIT):
                enter()

    def freeze_blocking() -> None:
        with freezer.register():
            for _ in range(rounds):
                freezer.run_frozen(enter, timeout=WAIT)

    def hold_often() -> None:
        with freezer.register():
            for _ in range(rounds):
                with freezer.hold(timeout=WAIT, group="io"):
                    pass

    with looping(freezer, 1), running_loop(freezer, "io") as one, running_loop(freezer) as two:
        tasks = [loop.begin(freeze_often()) for loop in (one, one, two, two)]
        threads = [start(freeze_blocking), start(hold_often)]
        for task in tasks:
            task.result(WAIT)
        for thread in threads:
            thread.finish()


def test_a_hold_of_the_loop_waits_for_the_block_and_stops_it_then(freezer: Freezer) -> None:
    with running_loop(freezer, "io") as loop, actor() as other:
        counts = [0]
        counting = loop.count(counts)
        block = Block(loop)
        wait_for(block.inside)
        holding = other.tell(freezer.hold, timeout=WAIT, group="io")
        wait_until(lambda: len(freezer._registry.active) == 2)
        before = counts[0]
        wait_until(lambda: counts[0] > before)
        assert not holding.done()
        block.leave_soon()
        with holding.result(WAIT):
            assert_still(lambda: counts[0])
        block.leave()
        counting.cancel()


def test_a_todo_of_the_loop_waits_for_the_end_of_the_block(freezer: Freezer) -> None:
    with running_loop(freezer) as loop:
        block = Block(loop)
        wait_for(block.inside)
        todo = freezer.todo(loop.thread, threading.get_ident)
        loop.settle()
        assert not todo.done()
        block.leave()
        assert todo.result(WAIT) == loop.thread.ident


def test_a_blocking_freeze_is_refused_while_a_task_waits(
    freezer: Freezer, loop: LoopThread
) -> None:
    with puppet(freezer) as thread:
        block = Block(loop)
        wait_until_asked(thread)
        with pytest.raises(FreezeError, match="under way in this very thread"):
            loop.do(freezer.freeze)
        standing = thread.tell(freezer.safepoint)
        wait_for(block.inside)
        block.leave()
        standing.result(WAIT)


# Freezing again inside.


def test_freezing_again_inside_is_counted(freezer: Freezer, loop: LoopThread) -> None:
    async def again() -> None:
        async with asyncio_loop.freeze(freezer, reason="again") as inner:
            assert inner.reason == "outer"

    async def main() -> None:
        async with asyncio_loop.freeze(freezer, reason="outer", timeout=WAIT):
            await again()
            await asyncio.gather(again(), again())
            counts = list(loops.counts)
            await asyncio.sleep(0)
            assert counts == loops.counts

    with looping(freezer, 2) as loops:
        loop.run(main())


def test_what_the_outer_block_does_not_cover_is_refused(freezer: Freezer, loop: LoopThread) -> None:
    async def main() -> None:
        async with asyncio_loop.freeze(freezer, group="a", timeout=WAIT):
            async with asyncio_loop.freeze(freezer, group="a.b"):
                pass
            async with (
                asyncio_loop.freeze(other, timeout=WAIT),
                asyncio_loop.freeze(freezer, group="a"),
            ):
                pass
            with pytest.raises(FreezeError, match="does not cover"):
                await asyncio_loop.freeze(freezer, group="b").__aenter__()

    other = Freezer("other")
    with looping(other, 2):
        loop.run(main())
    assert not other.armed


def test_a_task_that_outlives_the_block_waits_for_its_own_turn(
    freezer: Freezer, loop: LoopThread
) -> None:
    async def late() -> str:
        await left.wait()
        async with asyncio_loop.freeze(freezer, reason="own", timeout=WAIT) as world:
            return world.reason

    async def main() -> str:
        async with asyncio_loop.freeze(freezer, reason="outer", timeout=WAIT):
            task = asyncio.create_task(late())
        left.set()
        return await task

    left = asyncio.Event()
    with looping(freezer, 1):
        assert loop.run(main()) == "own"

"""The default executor of an enrolled event loop: `asyncio.to_thread` stops with the loop."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from asyncio_loops import LoopThread, assert_still, run_in_default, running_loop
from freezethreads import Freezer, State, ThreadPoolExecutor
from freezethreads.integrations import asyncio_loop
from helpers import WAIT, wait_for, wait_until


@pytest.fixture
def freezer() -> Freezer:
    return Freezer()


@pytest.fixture
def loop(freezer: Freezer) -> Iterator[LoopThread]:
    with running_loop(freezer, "io") as thread:
        yield thread


def test_to_thread_runs_in_an_enrolled_thread(freezer: Freezer, loop: LoopThread) -> None:
    group = loop.run(asyncio.to_thread(lambda: {i.ident: i.group for i in freezer.threads()}))
    assert list(group.values()) == ["io", "io"]
    with freezer.freeze(timeout=WAIT) as world:
        assert len(world.threads) == 2
        work = loop.tell(loop.loop.run_in_executor, None, int)
        assert_still(work.done)
    loop.do(lambda: work.result(0))


def test_the_loop_stands_while_another_thread_of_it_freezes(
    freezer: Freezer, loop: LoopThread
) -> None:
    counts = [0]

    def look() -> State:
        assert_still(lambda: counts[0])
        return {info.name: info.state for info in freezer.threads()}["loop"]

    counting = loop.count(counts)
    assert loop.run(asyncio.to_thread(freezer.run_frozen, look)) is State.FROZEN
    counting.cancel()


def test_closing_gives_the_former_executor_back(freezer: Freezer) -> None:
    async def main() -> list[str]:
        asyncio.get_running_loop().set_default_executor(former)
        names = [await run_in_default()]
        with asyncio_loop.enrol(freezer):
            names.append(await run_in_default())
        return [*names, await run_in_default()]

    former = concurrent.futures.ThreadPoolExecutor(1, "former")
    assert asyncio.run(main()) == ["former_0", "asyncio_0", "former_0"]
    wait_until(lambda: not freezer.threads())


def test_a_loop_without_an_executor_makes_a_standard_one_afterwards(freezer: Freezer) -> None:
    async def main() -> str:
        with asyncio_loop.enrol(freezer):
            pass
        name = await run_in_default()
        assert not freezer.threads()
        return name

    assert asyncio.run(main()) == "asyncio_0"


def test_closing_leaves_an_executor_alone_that_was_set_meanwhile(freezer: Freezer) -> None:
    async def main() -> str:
        with asyncio_loop.enrol(freezer):
            asyncio.get_running_loop().set_default_executor(other)
        return await run_in_default()

    other = concurrent.futures.ThreadPoolExecutor(1, "other")
    assert asyncio.run(main()) == "other_0"


def test_what_the_executor_was_given_is_done_after_the_close(freezer: Freezer) -> None:
    async def main() -> None:
        with asyncio_loop.enrol(freezer):
            loop = asyncio.get_running_loop()
            futures = [loop.run_in_executor(None, wait_for, over) for _ in range(99)]
        over.set()
        await asyncio.gather(*futures)

    over = threading.Event()
    asyncio.run(main())


def test_the_executor_is_freezethreads_own(freezer: Freezer) -> None:
    async def main() -> list[Any]:
        pools: list[Any] = []
        loop = asyncio.get_running_loop()
        patch.setattr(loop, "set_default_executor", pools.append)
        with asyncio_loop.enrol(freezer):
            pass
        return pools

    with pytest.MonkeyPatch.context() as patch:
        assert type(asyncio.run(main())[0]) is ThreadPoolExecutor

"""A loop of uvloop, which waits in C: it stands between two callbacks."""

from __future__ import annotations

import asyncio
import importlib
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import Any

import pytest

import freezethreads
from foreign_libraries import UVLOOP, Imported, Libraries, libraries, orders
from freezethreads import Freezer, Hold, State
from freezethreads._registry.record import here
from freezethreads.integrations import asyncio_loop
from helpers import WAIT, Worker, start, start_own, wait_for
from install_waits import until


@pytest.fixture
def freezer() -> Freezer:
    return Freezer("under test")


@pytest.fixture
def provide(tmp_path: Path) -> Iterator[Libraries]:
    """Have these libraries be importable."""
    with ExitStack() as stack:
        yield lambda files: stack.enter_context(libraries(tmp_path, files))


class Idle:
    """A thread that runs a loop in which nothing happens, or a little."""

    def __init__(self, uvloop: Any, with_own: Callable[[], AbstractContextManager[object]]) -> None:
        self.loop = uvloop.Loop()
        self.ticks = 0
        self._runs, self._with_own = threading.Event(), with_own
        self.thread: Worker[None] = start(self._run)
        wait_for(self._runs)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self.loop) as runner:
            runner.run(self._main())

    async def _main(self) -> None:
        self._over = asyncio.Event()
        with self._with_own():
            self._runs.set()
            await self._over.wait()

    def tick(self) -> None:
        """Have the loop do something, when it runs."""
        self.loop.call_soon_threadsafe(self._tick)

    def _tick(self) -> None:
        self.ticks += 1

    def end(self) -> None:
        self.loop.call_soon_threadsafe(self._over.set)
        self.thread.finish()


@orders
def test_an_idle_loop_stands(freezer: Freezer, provide: Libraries, order: str) -> None:
    provide(UVLOOP)
    with Imported(freezer, "uvloop", order) as uvloop:
        idle = Idle(uvloop, nullcontext)
        for ticks in range(3):
            with freezer.freeze(timeout=WAIT) as world:
                assert [info.state for info in world.threads] == [State.FROZEN]
                idle.tick()
                assert idle.ticks == ticks
            until(lambda seen=ticks: idle.ticks == seen + 1)  # type: ignore[misc]
        idle.end()


def test_a_loop_that_begins_during_a_freeze(freezer: Freezer, provide: Libraries) -> None:
    """What its thread was asked before it had a waker it finds in its first turn."""
    provide(UVLOOP)
    with Imported(freezer, "uvloop", "after") as uvloop:
        original = uvloop.Loop.call_soon
        asked: list[object] = []

        def call_soon(self: Any, *args: Any, **kwargs: Any) -> object:
            if not asked:  # the very first: the thread has told of its waker, which nobody calls
                asked.append(start(lambda: freezer.freeze(timeout=WAIT)))
                while not freezer.armed:
                    pass  # any wait would be a place to stop at
            return original(self, *args, **kwargs)

        uvloop.Loop.call_soon = call_soon
        idle: list[Idle] = []
        beginning = start(lambda: idle.append(Idle(uvloop, nullcontext)))
        until(lambda: bool(asked))
        asked[0].finish().thaw()  # type: ignore[attr-defined]
        beginning.finish()
        idle[0].end()


def test_one_that_has_enrolled_itself(freezer: Freezer, provide: Libraries) -> None:
    provide(UVLOOP)
    other = Freezer("its own")
    with Imported(freezer, "uvloop", "after") as uvloop:
        idle = Idle(uvloop, lambda: asyncio_loop.enrol(other))
        for each in freezer, other, freezer:
            with each.freeze(timeout=WAIT) as world:
                assert [info.state for info in world.threads] == [State.FROZEN]
        idle.end()


def test_a_thread_with_a_waker_of_its_own_keeps_it(freezer: Freezer, provide: Libraries) -> None:
    provide(UVLOOP)
    other = Freezer("its own")

    async def wakers() -> list[object]:
        return [record.waker for _, record in here.parking.members]

    with Imported(freezer, "uvloop", "after") as uvloop:

        def run() -> tuple[list[object], list[object]]:
            with other.register(waker=int), asyncio.Runner(loop_factory=uvloop.Loop) as runner:
                return runner.run(wakers()), asyncio.run(wakers())

        during, afterwards = start(run).finish()
    assert int in during
    assert None not in during
    assert int in afterwards
    assert None in afterwards


@pytest.mark.parametrize("by", ["the installation", "itself"])
def test_a_thread_that_is_enrolled_by_what_its_loop_runs(
    freezer: Freezer, provide: Libraries, by: str
) -> None:
    """Such as the main thread, which runs from before the installation on."""
    provide(UVLOOP)
    runs, over = threading.Event(), asyncio.Event()

    async def main() -> None:
        if by == "itself":
            freezer.register().__enter__()
        else:
            installation.enrol()
        runs.set()
        await over.wait()

    with freezethreads.install(freezer) as installation:
        uvloop = importlib.import_module("uvloop")
        loop = uvloop.Loop()

        def run() -> None:
            with asyncio.Runner(loop_factory=lambda: loop) as runner:
                runner.run(main())

        running = start_own(run)
        wait_for(runs)
        for _ in range(2):
            with freezer.freeze(timeout=WAIT) as world:
                assert [info.state for info in world.threads] == [State.FROZEN]
        loop.call_soon_threadsafe(over.set)
        running.finish()


def test_a_thread_that_is_not_enrolled_runs_its_loop_as_ever(
    freezer: Freezer, provide: Libraries
) -> None:
    provide(UVLOOP)
    with (
        Imported(freezer, "uvloop", "after") as uvloop,
        asyncio.Runner(loop_factory=uvloop.Loop) as runner,
    ):
        assert runner.run(asyncio.sleep(0, "done")) == "done"


def test_a_loop_that_freezes_others_does_not_stop_meanwhile(
    freezer: Freezer, provide: Libraries
) -> None:
    """Not even for another hold, or a todo: they wake it, and have their turn afterwards."""
    provide(UVLOOP)
    holds: list[Worker[Hold]] = []
    ticks: list[bool] = []

    async def freeze() -> None:
        async with asyncio_loop.freeze(freezer, timeout=WAIT):
            holds.append(start_own(lambda: freezer.hold(timeout=WAIT)))
            while len(freezer._registry.active) < 2:
                await asyncio.sleep(0.001)
            made = freezer.todo(threading.current_thread(), threading.get_ident)
            await asyncio.sleep(0.01)  # some turns
            assert not made.done()
            ticks.append(True)
        while not (holds[0]._result and made.done()):
            await asyncio.sleep(0.001)
        assert made.result() == threading.get_ident()

    with Imported(freezer, "uvloop", "after") as uvloop:

        def run() -> None:
            with asyncio.Runner(loop_factory=uvloop.Loop) as runner:
                runner.run(freeze())

        running = start(run)
        until(lambda: bool(ticks))
        with holds[0].finish() as held:
            assert [info.state for info in held.threads] == [State.FROZEN]
        running.finish()

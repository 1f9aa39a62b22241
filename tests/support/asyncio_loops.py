"""What the tests of event loops share: threads that run one, and signs of stillness."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, nullcontext
from typing import Any, TypeVar

from freezethreads import Freezer
from freezethreads.integrations import asyncio_loop
from helpers import WAIT, Worker, start, wait_for

T = TypeVar("T")


class LoopThread:
    """A thread that runs an event loop, in asyncio's debug mode. Got from `running_loop`."""

    def __init__(self, freezer: Freezer, group: str, enrolled: bool) -> None:
        self.freezer = freezer
        self.loop = asyncio.new_event_loop()
        self.loop.slow_callback_duration = WAIT  # a frozen callback is slow, and that is right
        self.enrolment: asyncio_loop.Enrolment | None = None
        self._ready = threading.Event()
        self._end = asyncio.Event()
        self.thread: Worker[None] = start(self._run, group, enrolled, name="loop")
        wait_for(self._ready)

    def tell(self, fn: Callable[..., T], *args: Any) -> Future[T]:
        """Have the loop call `fn(*args)` as a callback."""
        future: Future[T] = Future()

        def call() -> None:
            try:
                future.set_result(fn(*args))
            except BaseException as error:  # noqa: BLE001 - the future's reader raises it
                future.set_exception(error)

        self.loop.call_soon_threadsafe(call)
        return future

    def do(self, fn: Callable[..., T], *args: Any) -> T:
        """The same, and wait for the result."""
        return self.tell(fn, *args).result(WAIT)

    def begin(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Have the loop run a task. Cancelling the future cancels the task."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """The same, and wait for the result."""
        return self.begin(coroutine).result(WAIT)

    def settle(self) -> None:
        """Return when the loop has come round a few times."""
        for _ in range(5):
            self.do(int)

    def count(self, counts: list[int]) -> Future[None]:
        """Start a task that counts each time when the loop comes round."""

        async def task() -> None:
            while True:
                counts[0] += 1
                await asyncio.sleep(0)

        return self.begin(task())

    def finish(self) -> None:
        """End the loop and the thread."""
        self.loop.call_soon_threadsafe(self._end.set)
        self.thread.finish()

    def _run(self, group: str, enrolled: bool) -> None:
        with asyncio.Runner(debug=True, loop_factory=lambda: self.loop) as runner:
            runner.run(self._main(group, enrolled))

    async def _main(self, group: str, enrolled: bool) -> None:
        context = asyncio_loop.enrol(self.freezer, group=group) if enrolled else nullcontext()
        with context as self.enrolment:
            self._ready.set()
            await self._end.wait()


@contextmanager
def running_loop(
    freezer: Freezer, group: str = "", *, enrolled: bool = True
) -> Iterator[LoopThread]:
    """A thread with a loop that ends with the block."""
    loop = LoopThread(freezer, group, enrolled)
    try:
        yield loop
    finally:
        loop.finish()


class Block:
    """A task that freezes and stays in its block until it is told to leave it."""

    def __init__(self, loop: LoopThread, **arguments: Any) -> None:
        self.inside = threading.Event()
        self._loop = loop
        self._over = asyncio.Event()
        self.task = loop.begin(self._run({"timeout": WAIT, **arguments}))

    async def _run(self, arguments: dict[str, Any]) -> None:
        async with asyncio_loop.freeze(self._loop.freezer, **arguments):
            self.inside.set()
            await self._over.wait()

    def leave_soon(self) -> None:
        """Have it leave the block."""
        self._loop.loop.call_soon_threadsafe(self._over.set)

    def leave(self) -> None:
        """The same, and wait for the task's end."""
        self.leave_soon()
        self.task.result(WAIT)


async def run_in_default() -> str:
    """The name of a thread of the running loop's default executor."""
    return (await asyncio.to_thread(threading.current_thread)).name


def assert_still(read: Callable[[], object]) -> None:
    """What `read` returns stays as it is while other threads come and go."""
    before = read()
    for _ in range(20):
        start(int).finish()
    assert read() == before

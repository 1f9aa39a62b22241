"""What a dump says of the tasks of an event loop that stands."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from freezethreads import Freezer
from freezethreads._explain import describe, look, render
from freezethreads._explain._tasks import _report
from freezethreads._ground.jsonable import from_json, to_json
from freezethreads._report.reports import CodeLine, Description, TaskReport, ThreadReport
from freezethreads.integrations import asyncio_loop
from helpers import HAS_GIL, WAIT, start, wait_for
from machine import needs_monitoring

needs_gil = pytest.mark.skipif(not HAS_GIL, reason="nobody may look into another's frames")


async def deep(depth: int) -> None:
    if depth:
        await deep(depth - 1)
    else:
        await asyncio.sleep(WAIT)


async def listen(queue: asyncio.Queue[int]) -> None:
    await queue.get()


async def await_a_future() -> None:
    await asyncio.get_running_loop().create_future()


async def compute(over: threading.Event) -> None:
    while not over.is_set():
        pass


@contextmanager
def loop_of(freezer: Freezer, fill: Callable[[], None]) -> Iterator[None]:
    """A loop in a thread, with the tasks that `fill` makes in it, all of which have begun."""
    begun, over = threading.Event(), asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def main() -> None:
        loops.append(asyncio.get_running_loop())
        with asyncio_loop.enrol(freezer, name="loop"):
            fill()
            await asyncio.sleep(0)
            begun.set()
            await over.wait()

    thread = start(asyncio.run, main())
    wait_for(begun)
    yield
    loops[0].call_soon_threadsafe(over.set)
    thread.finish()


def of_loop(description: Description) -> ThreadReport:
    (thread,) = (one for one in description.threads if one.name == "loop")
    return thread


def line_of(code: Callable[..., object], after: int) -> int:
    return code.__code__.co_firstlineno + after


@pytest.fixture
def freezer() -> Freezer:
    return Freezer()


@needs_gil
def test_each_task_is_told_with_the_line_where_it_awaits(freezer: Freezer) -> None:
    tasks = []

    def fill() -> None:
        queue: asyncio.Queue[int] = asyncio.Queue()
        for number in range(5):
            tasks.append(asyncio.create_task(deep(number), name=f"deep-{number}"))
        tasks.append(asyncio.create_task(listen(queue), name="listener"))
        tasks.append(asyncio.create_task(await_a_future(), name="waiter"))

    with loop_of(freezer, fill):
        description = look(freezer, WAIT)
    thread = of_loop(description)
    found = {task.name: task for task in thread.tasks or ()}
    assert len(found) == 8  # with that of main
    for name, function, lineno, inside in (
        ("deep-3", "deep", line_of(deep, 4), "sleep"),
        ("listener", "listen", line_of(listen, 1), "Queue.get"),
        ("waiter", "await_a_future", line_of(await_a_future, 1), "await_a_future"),
    ):
        task = found[name]
        assert task.line is not None
        assert task.inside is not None
        assert (task.line.function, task.line.filename, task.line.lineno, task.state) == (
            function,
            __file__,
            lineno,
            "awaiting",
        )
        assert task.inside.function == inside
    assert from_json(Description, to_json(description)) == description
    text = render(description)
    assert "\n  8 tasks of its event loop:\n" in text
    where = f"awaits in deep ({__file__}:{line_of(deep, 4)}), by sleep ("
    assert f"\n    deep-0, deep-1, deep-2 and 2 more: {where}" in text
    where = f"awaits in await_a_future ({__file__}:{line_of(await_a_future, 1)})"
    assert f"\n    waiter: {where}\n" in text


def test_a_task_that_has_not_begun_is_told_as_such() -> None:
    async def main() -> TaskReport:
        task = asyncio.create_task(listen(asyncio.Queue()), name="new")
        report = _report(task)
        task.cancel()
        await asyncio.wait([task])
        return report

    report = asyncio.run(main())
    line = CodeLine(__file__, line_of(listen, 0), "listen")
    assert report == TaskReport(name="new", state="new", line=line, inside=line)


@needs_gil
@needs_monitoring
def test_the_one_that_runs_is_in_the_stack_of_its_thread(freezer: Freezer) -> None:
    over, running = threading.Event(), threading.Event()

    async def main() -> None:
        running.set()
        await compute(over)

    thread = start(asyncio.run, main())
    wait_for(running)
    with freezer.freeze(where="anywhere"):
        reports = [one for one in describe(freezer).threads if one.ident == thread.ident]
        text = render(describe(freezer))
    over.set()
    thread.finish()
    ((task,),) = (report.tasks or () for report in reports)
    assert (task.state, task.line, task.inside) == ("running", None, None)
    assert f"\n    {task.name}: runs, see above\n" in text


def test_nothing_is_told_of_a_loop_that_goes_on(freezer: Freezer) -> None:
    file = io.StringIO()
    with loop_of(freezer, lambda: None):
        assert of_loop(describe(freezer)).tasks is None
        freezer.dump(file, timeout=WAIT)
    assert ("task of its event loop" in file.getvalue()) == HAS_GIL

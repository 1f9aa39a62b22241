"""Jobs of a pool: what tells who waits for one, who works at it, and in which queue it is."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from freezethreads._ground.frames import current_frames
from freezethreads._machine.jobs import has_job, jobs_in
from helpers import HAS_GIL, WAIT, stack_of, start, wait_for, wait_until

pytestmark = pytest.mark.skipif(
    not HAS_GIL, reason="nobody may read the frames of a thread that runs"
)


def jobs_of(thread: threading.Thread) -> tuple[tuple[Any, bool] | None, Any, Any]:
    return jobs_in(current_frames()[thread.ident or 0])


@pytest.mark.parametrize(
    ("wait", "for_ever"),
    [
        (lambda future: future.result(), True),
        (lambda future: future.exception(None), True),
        (lambda future: future.result(WAIT), False),
        (lambda future: future.exception(timeout=WAIT), False),
    ],
    ids=["result", "exception", "result-in-time", "exception-in-time"],
)
def test_who_waits_for_a_future(wait: Callable[[Future[int]], object], for_ever: bool) -> None:
    future = Future[int]()
    thread = start(lambda: wait(future))
    wait_until(lambda: "in wait\n" in stack_of(thread))
    try:
        assert jobs_of(thread) == ((future, for_ever), None, None)
    finally:
        future.set_result(0)
        thread.finish()


def test_who_works_at_a_job_and_what_is_queued() -> None:
    begun, over = threading.Event(), threading.Event()
    workers = []

    def work() -> None:
        workers.append(threading.current_thread())
        begun.set()
        wait_for(over)

    with ThreadPoolExecutor(1) as pool:
        job, queued = pool.submit(work), pool.submit(int)
        wait_for(begun)
        awaited, own, queue = jobs_of(workers[0])
        assert (awaited, own) == (None, job)
        assert has_job(queue, queued)
        assert not has_job(queue, job)
        assert not has_job(None, queued)
        over.set()

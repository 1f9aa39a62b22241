"""A controller that waits for the end, or the work, of threads that stand in its own world."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from freezethreads import FreezeError, Freezer, Thread, ThreadPoolExecutor
from helpers import WAIT, stack_of, start, wait_for, wait_until


@pytest.fixture
def freezer() -> Freezer:
    return Freezer("under test")


@contextmanager
def looping(freezer: Freezer, over: threading.Event | None = None) -> Iterator[Thread]:
    """A thread of ours that passes safepoints, until `over`."""
    begun, over = threading.Event(), over or threading.Event()

    def work() -> None:
        begun.set()  # it stops in register() no more
        while not over.wait(0.001):
            freezer.safepoint("in the loop")

    thread = Thread(None, work, "looping", freezer=freezer, daemon=True)
    thread.start()
    wait_for(begun)
    try:
        yield thread
    finally:
        over.set()
        thread.join(WAIT)


def line_with(comment: str) -> str:
    with open(__file__, encoding="utf-8") as file:
        (number,) = (n for n, line in enumerate(file, 1) if line.endswith(f"  # {comment}\n"))
    return f"{__file__}:{number} in "


def test_a_join_of_a_thread_that_stands_is_refused(freezer: Freezer) -> None:
    with looping(freezer) as thread:
        with freezer.freeze(timeout=WAIT), pytest.raises(FreezeError) as caught:
            thread.join()  # joined here
        message = str(caught.value)
        assert message.startswith("looping stands at its safepoint 'in the loop' at ")
        assert f"would wait for its end for ever at {line_with('joined here')}" in message
        assert thread.is_alive()


def test_so_is_one_of_a_thread_that_is_started_in_there(freezer: Freezer) -> None:
    """It has yet to register, and then it stands."""
    thread = Thread(target=int, freezer=freezer)
    with freezer.freeze(timeout=WAIT):
        thread.start()
        with pytest.raises(FreezeError, match="would wait for its end for ever"):
            thread.join()
    thread.join()
    assert not thread.is_alive()


def test_a_join_of_a_thread_that_goes_on_is_none_of_that(freezer: Freezer) -> None:
    with freezer.freeze(timeout=WAIT, group="io"):
        thread = Thread("cpu", target=int, freezer=freezer)
        thread.start()
        thread.join()
        assert not thread.is_alive()


def test_a_join_with_a_time_out_is_not_refused(freezer: Freezer) -> None:
    with looping(freezer) as thread, freezer.freeze(timeout=WAIT):
        thread.join(0.01)
        assert thread.is_alive()


def test_nor_is_one_in_a_world_that_has_a_lease(freezer: Freezer) -> None:
    over = threading.Event()
    with looping(freezer, over=over) as thread:
        world = freezer.freeze(timeout=WAIT, lease=0.05)
        over.set()
        thread.join()
        assert world.expired
        world.thaw()


def test_another_thread_may_wait_for_one_that_stands(freezer: Freezer) -> None:
    with looping(freezer) as thread, freezer.freeze(timeout=WAIT):
        joining = start(thread.join)
        wait_until(lambda: ", in join\n" in stack_of(joining))
        assert joining.is_alive()
    joining.finish()


WAITS: dict[str, Callable[[ThreadPoolExecutor], object]] = {
    "result": lambda pool: pool.submit(int).result(),
    "exception": lambda pool: pool.submit(int).exception(),
    "map": lambda pool: list(pool.map(int, [1])),
    "shutdown": lambda pool: pool.shutdown(),
}


@pytest.mark.parametrize("name", WAITS)
@pytest.mark.parametrize("before", [0, 1])
def test_a_wait_for_a_pool_whose_workers_stand_is_refused(
    freezer: Freezer, name: str, before: int
) -> None:
    with ThreadPoolExecutor(2, "worker", freezer=freezer) as pool:
        for _ in range(before):
            pool.submit(int).result(WAIT)
        with freezer.freeze(timeout=WAIT):
            if name == "shutdown" and not before:
                pool.submit(int)
            with pytest.raises(
                FreezeError, match=r"worker_0 .*stands at its .* for ever at "
            ) as caught:
                WAITS[name](pool)
            assert __file__ in str(caught.value)
            if name != "shutdown":
                with pytest.raises(TimeoutError):
                    pool.submit(int).result(0.01)
        if name != "shutdown":
            assert pool.submit(int).result(WAIT) == 0


def test_a_pool_that_has_a_worker_which_goes_on_is_waited_for(freezer: Freezer) -> None:
    with ThreadPoolExecutor(1, freezer=freezer, group="cpu") as pool:
        with freezer.freeze(timeout=WAIT, group="io"):
            assert pool.submit(int).result() == 0
        future = pool.submit(int)
        assert future.result(WAIT) == 0
        with freezer.freeze(timeout=WAIT):
            assert future.result() == 0, "it is there already"

"""A blocking region that a coroutine is suspended in says nothing of its thread, which goes on."""

from __future__ import annotations

import threading
import types
from collections.abc import Generator

import pytest

from freezethreads import Freezer, FreezeTimeout, State
from freezing import Puppet, puppet
from helpers import WAIT


@types.coroutine
def suspended() -> Generator[None, None, None]:
    """What an event loop is told to wait for."""
    yield


async def wait_in(freezer: Freezer) -> None:
    with freezer.blocking("in a coroutine"):
        await suspended()


def check_not_stopped(freezer: Freezer, thread: Puppet) -> None:
    assert thread.record.state is State.RUNNING
    with pytest.raises(FreezeTimeout):
        freezer.freeze(timeout=0)


def test_two_regions_that_overlap_do_not_make_a_thread_stopped() -> None:
    freezer = Freezer()
    with puppet(freezer) as thread:
        first, second = wait_in(freezer), wait_in(freezer)
        for coroutine in (first, second):
            thread.do(coroutine.send, None)
            check_not_stopped(freezer, thread)
        for coroutine in (
            first,
            second,
        ):  # not in reverse
            with pytest.raises(StopIteration):
                thread.do(coroutine.send, None)
            check_not_stopped(freezer, thread)
        assert thread.record.depth == 0
        with_a_function = thread.block(over := threading.Event())
        assert thread.record.state is State.BLOCKED
        over.set()
        with_a_function.result(WAIT)


def test_the_end_of_such_a_region_is_a_door() -> None:
    freezer = Freezer()
    with puppet(freezer) as thread:
        coroutine = wait_in(freezer)
        thread.do(coroutine.send, None)
        made = freezer.todo(thread.worker, threading.get_ident)
        with pytest.raises(StopIteration):
            thread.do(coroutine.send, None)
        assert made.result(WAIT) == thread.worker.ident

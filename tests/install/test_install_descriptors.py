"""Waits for descriptors: what is taken when, and what `select` and `multiprocessing` make."""

from __future__ import annotations

import multiprocessing
import os
import select
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from tempfile import TemporaryFile

import pytest

import freezethreads
from freezethreads import Freezer, Installation
from freezethreads._install import _descriptors
from helpers import WAIT
from install_waits import is_back, record_of, until, wait_in_wait, waiting
from install_waits_fd import impatient_pipe, pipe
from install_waits_io import pair


@pytest.fixture
def freezer() -> Freezer:
    return Freezer("under test")


@pytest.fixture
def installation(freezer: Freezer) -> Iterator[Installation]:
    with freezethreads.install(freezer) as installation:
        yield installation


def by_socket(stack: ExitStack) -> tuple[Callable[[], bytes], Callable[[bytes], int]]:
    here, there = pair(stack)
    return lambda: here.recv(1), there.send


def by_pipe(stack: ExitStack) -> tuple[Callable[[], bytes], Callable[[bytes], int]]:
    read, write = pipe(stack)
    return lambda: os.read(read, 1), lambda data: os.write(write, data)


@pytest.mark.parametrize("make", [by_socket, by_pipe])
def test_of_two_who_wait_for_one_thing_one_goes_on_waiting(
    freezer: Freezer,
    installation: Installation,
    make: Callable[[ExitStack], tuple[Callable[[], bytes], Callable[[bytes], int]]],
) -> None:
    """Both are told that there is something, and the second finds nothing left: it can be frozen
    in the call as well."""
    with ExitStack() as stack:
        take, give = make(stack)
        both = [stack.enter_context(waiting(freezer, take)) for _ in range(2)]
        records = [record_of(freezer, thread) for thread in both]
        with freezer.freeze(timeout=WAIT):
            give(b"x")
            until(lambda: all(map(is_back, records)))
        until(lambda: [thread.is_alive() for thread in both].count(False) == 1)
        (left,) = (thread for thread in both if thread.is_alive())
        wait_in_wait(freezer, left)
        with freezer.freeze(timeout=WAIT):
            give(b"y")
        assert sorted(str(thread.finish()) for thread in both) == ["b'x'", "b'y'"]


def test_a_file_and_a_pipe_that_never_waits_are_no_places_to_stop_at(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation.enrol()
    monkeypatch.delattr(_descriptors, "Waiting")
    with ExitStack() as stack:
        file = stack.enter_context(TemporaryFile(buffering=0))
        file.write(b"xy")
        assert os.pread(file.fileno(), 2, 0) == b"xy"
        assert os.read(file.fileno(), 3) == b""
        with pytest.raises(BlockingIOError):
            os.read(impatient_pipe(stack), 3)


def test_a_thread_that_is_not_enrolled_reads_as_ever(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(_descriptors, "wait_readable")
    with ExitStack() as stack:
        read, write = pipe(stack)
        os.write(write, b"x")
        assert os.read(read, 1) == b"x"


# What `select` makes.


@pytest.mark.skipif(not hasattr(select, "epoll"), reason="Linux has it alone")
def test_an_epoll_is_in_all_else_as_ever(installation: Installation) -> None:
    with ExitStack() as stack:
        here, there = pair(stack)
        there.send(b"x")
        with select.epoll(1) as poll:
            poll.register(here.fileno(), select.EPOLLIN)
            other = select.epoll.fromfd(os.dup(poll.fileno()))
            assert other.poll(WAIT) == poll.poll(timeout=WAIT, maxevents=1)
            assert isinstance(other, select.epoll)
            assert select.select([poll], [], [], WAIT)[0] == [poll]
            poll.unregister(here.fileno())
            assert poll.poll(0) == []
        assert poll.closed
        other.close()
        with pytest.raises(ValueError, match="closed"):
            poll.poll(0)


# `multiprocessing`.


def test_a_pool_of_processes_idles_and_works(freezer: Freezer, installation: Installation) -> None:
    context = multiprocessing.get_context("fork")
    with context.Pool(2) as pool:
        assert pool.map(abs, range(-9, 0), 1) == list(range(9, 0, -1))
        with freezer.freeze(timeout=WAIT) as world:
            assert len(world.threads) == 3
            result = pool.apply_async(abs, (-1,))
            time.sleep(0.05)
            assert not result.ready()
        assert result.get(WAIT) == 1
        pool.close()
        pool.join()

"""The library's own threads are left out of everything; a user's is not, by whatever name.

Where an installation meets them is in `test_install_threads`, and the refrigerator in
`test_hold_request`.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator

import pytest

from freezethreads import Freezer
from freezethreads._explain._describe import describe
from freezethreads._explain._strangers import look_at_strangers, strangers_to
from freezethreads.testing._result import stacks
from helpers import WAIT, Worker, start, start_own, wait_for, wait_until
from machine import needs_monitoring

NAME = "freezethreads-test"
Pair = tuple[Worker[None], Worker[None]]


@pytest.fixture
def threads() -> Iterator[Pair]:
    """A user's thread and one of the library's, which have the same name and run."""
    over = threading.Event()
    begun = threading.Event(), threading.Event()

    def work(begins: threading.Event) -> None:
        begins.set()
        while not over.is_set():
            pass

    pair = start(work, begun[0], name=NAME), start_own(work, begun[1])
    try:
        for begins in begun:
            wait_for(begins)
        yield pair
    finally:
        over.set()
        for thread in pair:
            thread.finish()


def test_a_world_tells_of_those_that_it_does_not_cover(threads: Pair) -> None:
    users, own = threads
    with Freezer().freeze(timeout=WAIT) as world:
        assert users in world.unregistered
        assert own not in world.unregistered


def test_a_description_has_them_apart(threads: Pair) -> None:
    users, own = threads
    description = describe(Freezer())
    assert users.ident in [thread.ident for thread in description.threads]
    assert own.ident in description.library_threads
    assert users.ident not in description.library_threads


def test_strangers_that_move(threads: Pair) -> None:
    users, own = threads
    moving: set[int] = set()

    def is_users_seen() -> bool:
        seen = look_at_strangers(strangers_to([], set()))
        moving.update(thread.ident or 0 for thread, moves, *_ in seen if moves)
        return users.ident in moving

    wait_until(is_users_seen)
    assert own.ident not in moving


def test_the_stacks_of_a_run(threads: Pair) -> None:
    users, own = threads
    names = stacks()
    assert f"{NAME} ({users.ident})" in names
    assert f"{NAME} ({own.ident})" not in names


@needs_monitoring
def test_one_that_ends_meanwhile_ends() -> None:
    """Nothing is left to be executed in it when it is the library's no more."""
    over = threading.Event()
    ident = start_own(wait_for, over).ident  # which nobody else keeps
    with Freezer().freeze(timeout=WAIT, where="anywhere"):
        over.set()
        wait_until(lambda: ident not in sys._current_frames())

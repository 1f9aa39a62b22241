"""The warning about forks with threads is silent in a world of all threads, for its own thread.

They are recorded, not made errors, since CPython drops an exception which this warning raises.
"""

from __future__ import annotations

import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest

from fork_helpers import had_by_another, looping
from freezethreads import Freezer
from freezethreads._controller import controller
from freezethreads._ground.original import own_idents
from freezethreads._report.stragglers import foreign_threads
from helpers import WAIT, start, wait_for
from machine import needs_monitoring

# What a fork that is not inside a world should do: Python 3.11 does not warn at all.
WARNS = sys.version_info >= (3, 12)


def fork_child() -> None:
    """Fork a child that ends at once."""
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def fork_warns() -> bool:
    """Whether a fork warns, if nothing but the library keeps it from that."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        fork_child()
    assert all("multi-threaded" in str(warning.message) for warning in seen)
    return bool(seen)


@pytest.fixture(autouse=True)
def _runner(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads of whoever runs the tests count as the library's: nobody stops them."""
    for thread in foreign_threads():
        assert thread.ident is not None
        monkeypatch.setitem(own_idents, thread.ident, 0)
    # In the last moment of the lookout's thread, which without a GIL may be now, it is nobody's.
    monkeypatch.setattr(controller, "look_out", lambda: None)


@pytest.fixture
def freezer() -> Iterator[Freezer]:
    """A freezer with a thread besides the calling one, of which a fork can warn."""
    made = Freezer()
    with looping(made, "loop"):
        yield made


def freeze(freezer: Freezer) -> AbstractContextManager[Any]:
    return freezer.freeze(timeout=WAIT)


def test_silent_inside_a_world_and_not_before_or_after(freezer: Freezer) -> None:
    for _ in range(2):
        assert fork_warns() is WARNS
        with freeze(freezer):
            assert not fork_warns()
            assert not fork_warns()
    assert fork_warns() is WARNS


def test_not_silent_where_a_thread_goes_on_that_nobody_registered(freezer: Freezer) -> None:
    """It may have a lock, which the child would find held for ever."""
    ended = threading.Event()
    stranger = start(wait_for, ended)
    for _ in range(2):
        with freeze(freezer) as world:
            assert world.unregistered == (stranger,)
            assert fork_warns() is WARNS
    ended.set()
    stranger.finish()
    with freeze(freezer):
        assert not fork_warns()


def test_not_silent_where_another_group_goes_on(freezer: Freezer) -> None:
    with looping(freezer, "io", group="io"):
        with freezer.freeze(group="io", timeout=WAIT):
            assert fork_warns() is WARNS
        with freeze(freezer):
            assert not fork_warns()


def test_silent_where_two_freezers_have_stopped_all(freezer: Freezer) -> None:
    other = Freezer("other")
    with looping(other, "theirs"), freeze(freezer):
        assert fork_warns() is WARNS
        with freeze(other):
            assert not fork_warns()
        assert fork_warns() is WARNS


@needs_monitoring
def test_silent_where_all_were_stopped_with_no_lock(freezer: Freezer) -> None:
    ended = threading.Event()
    stranger = start(wait_for, ended)
    with freezer.freeze(timeout=WAIT, where="unlocked"):
        assert not fork_warns()
    with freezer.freeze(timeout=WAIT, where="anywhere"):
        assert fork_warns() is WARNS
    ended.set()
    stranger.finish()


def test_silent_in_run_frozen_of_a_registered_thread(freezer: Freezer) -> None:
    with freezer.register():
        assert not freezer.run_frozen(fork_warns, timeout=WAIT)
        assert fork_warns() is WARNS


def test_silent_until_the_outermost_world_is_thawed(freezer: Freezer) -> None:
    with freeze(freezer) as outer:
        with freeze(freezer):
            assert not fork_warns()
        assert not fork_warns()
        outer.thaw()
        assert fork_warns() is WARNS


def test_silent_in_a_world_of_another_thread_than_the_main_one(freezer: Freezer) -> None:
    with freezer.register(), freezer.blocking():
        assert not start(lambda: freezer.run_frozen(fork_warns, timeout=WAIT)).finish()
    assert fork_warns() is WARNS


def test_not_silent_in_another_thread_meanwhile(freezer: Freezer) -> None:
    with freeze(freezer):
        assert not fork_warns()
        assert start(fork_warns).finish() is WARNS
        assert not fork_warns()
    with had_by_another(lambda: freeze(freezer)):
        assert fork_warns() is WARNS


def test_not_silent_inside_a_hold(freezer: Freezer) -> None:
    with freezer.hold(timeout=WAIT):
        assert fork_warns() is WARNS


def test_not_silent_when_the_lease_has_run_out(freezer: Freezer) -> None:
    world = freezer.freeze(timeout=WAIT, lease=0.001)
    while not world.expired or freezer.armed:
        pass
    assert fork_warns() is WARNS
    world.thaw()


def test_not_silent_before_all_stand(freezer: Freezer) -> None:
    """A waker is called by the controller's thread before anybody has to have stopped."""
    warned: list[bool] = []
    up, ended = threading.Event(), threading.Event()

    def work() -> None:
        with freezer.register(waker=lambda: warned.append(fork_warns())):
            up.set()
            while not ended.wait(0.001):
                freezer.safepoint()

    worker = start(work)
    wait_for(up)
    with freeze(freezer):
        assert warned == [WARNS]
    ended.set()
    worker.finish()


def test_not_silent_once_a_freeze_has_timed_out(freezer: Freezer) -> None:
    with had_by_another(lambda: freezer.register()):
        with pytest.raises(TimeoutError):
            freezer.freeze(timeout=0)
        assert fork_warns() is WARNS


USERS_FILTERS: dict[str, Callable[[], None]] = {
    "always": lambda: warnings.simplefilter("always"),
    "default": lambda: warnings.simplefilter("default"),
    "by category": lambda: warnings.simplefilter("always", DeprecationWarning),
    "by message": lambda: warnings.filterwarnings("always", ".*multi-threaded"),
}


@pytest.mark.parametrize("name", USERS_FILTERS)
def test_users_filters_inside_a_world(name: str, freezer: Freezer) -> None:
    with freeze(freezer), warnings.catch_warnings(record=True) as seen:
        USERS_FILTERS[name]()
        fork_child()
        warnings.filterwarnings("ignore", "something else")
        USERS_FILTERS[name]()  # ahead of what the library has put there
        fork_child()
    assert seen == []


@pytest.mark.parametrize("name", USERS_FILTERS)
def test_users_filters_outside_of_a_world(name: str, freezer: Freezer) -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.resetwarnings()
        USERS_FILTERS[name]()
        with freeze(freezer):
            fork_child()
        fork_child()
    assert len(seen) == WARNS


def test_users_filters_that_replace_all_others(freezer: Freezer) -> None:
    with freeze(freezer), warnings.catch_warnings(record=True) as seen:
        fork_child()
        warnings.resetwarnings()
        warnings.simplefilter("always")
        fork_child()
    assert seen == []


def test_users_filter_that_ignores_is_left_alone(freezer: Freezer) -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("ignore")
        with freeze(freezer):
            fork_child()
        fork_child()
    assert seen == []


def test_other_warnings_are_not_silenced(freezer: Freezer) -> None:
    with freeze(freezer), warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        fork_child()
        warnings.warn("something else", DeprecationWarning, stacklevel=1)
    assert [str(warning.message) for warning in seen] == ["something else"]


def test_filters_do_not_pile_up(freezer: Freezer) -> None:
    with freeze(freezer), warnings.catch_warnings():
        fork_child()
        before = len(warnings.filters)
        for _ in range(3):
            warnings.simplefilter("always", DeprecationWarning)
            fork_child()
        assert len(warnings.filters) <= before + 1

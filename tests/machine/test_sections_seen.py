"""What a random function has shown: which locks are seen in code, and where they are not held."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from machine import InPython, called_in, check_sheltered_while_held, needs_monitoring

pytestmark = needs_monitoring

inside: Any = None
outside: Any = None
inside_too: Any = None
after: Any = None
Wrong: Any = None


def given_a_name(lock: Any) -> None:
    with (got := lock):
        inside(got)
    after()


def test_a_context_that_is_given_a_name_on_the_way() -> None:
    assert called_in(given_a_name, "lock") == {"inside": True, "after": False}


def handled_with_a_lock(lock: Any) -> None:
    try:
        inside()
    except Wrong:
        lock.acquire()
        try:
            inside_too()
        finally:
            lock.release()


def handled_under_other_names(lock: Any) -> None:
    try:
        inside()
    except Wrong:
        acquire = lock.acquire
        release = lock.release
        acquire()
        try:
            inside_too()
        finally:
            release()


@pytest.mark.parametrize("function", [handled_with_a_lock, handled_under_other_names])
def test_what_a_handler_acquires_itself_is_not_held_before(
    function: Callable[..., object],
) -> None:
    assert called_in(function, "lock") == {"inside": False, "inside_too": True, "Wrong": False}


def handled_without_a_try(lock: Any) -> None:
    try:
        inside()
    except Wrong:
        outside()
        lock.acquire()
        inside_too()
        lock.release()
        after()


def test_what_a_handler_acquires_is_held_until_it_releases_that() -> None:
    assert called_in(handled_without_a_try, "lock") == {
        "inside": False,
        "Wrong": False,
        "outside": False,
        "inside_too": True,
        "after": False,
    }


def handled_once_more(lock: Any) -> None:
    lock.acquire()
    try:
        inside()
    except Wrong:
        lock.release()
        outside()
        lock.acquire()
        inside_too()
        lock.release()


def test_what_a_handler_has_released_and_acquires_again() -> None:
    assert called_in(handled_once_more, "lock") == {
        "inside": True,
        "Wrong": True,
        "outside": False,
        "inside_too": True,
    }


def acquired_last_if_need_be(lock: Any) -> None:
    try:
        lock.acquire()
        inside()
    finally:
        if after:
            lock.acquire()
        inside_too()
        lock.release()


def test_what_a_handler_may_have_acquired_itself_may_be_held_before() -> None:
    assert called_in(acquired_last_if_need_be, "lock") == {
        "inside": True,
        "after": True,
        "inside_too": True,
    }


def without_a_try_around_one(lock: Any) -> None:
    lock.acquire()
    try:
        inside()
    except Wrong:
        inside_too()
    lock.release()
    after()


def left_at_the_end_of_a_loop(lock: Any) -> object:
    lock.acquire()
    try:
        while inside():
            if inside_too():
                return None
    finally:
        lock.release()
    return after()


@pytest.mark.parametrize("function", [without_a_try_around_one, left_at_the_end_of_a_loop])
def test_what_handles_or_leaves_is_inside_as_well(function: Callable[..., object]) -> None:
    found = called_in(function, "lock")
    assert found.pop("after") is False
    assert all(found.values())


@pytest.mark.parametrize("chance", [True, False])
def test_the_release_on_each_way_out_is_inside(
    chance: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("inside", "inside_too", "after"):
        monkeypatch.setitem(globals(), name, lambda: chance)
    lock = InPython()
    check_sheltered_while_held(
        lock, lambda code: code.co_filename == __file__, lambda: left_at_the_end_of_a_loop(lock)
    )


def looked_at_twice(lock: Any) -> None:
    if not lock.acquire(blocking=False):
        lock.acquire(True, outside)
    try:
        inside()
    finally:
        lock.release()


def test_a_look_that_has_failed_is_no_hold() -> None:
    assert called_in(looked_at_twice, "lock") == {"outside": False, "inside": True}


def entered_by_hand(lock: Any) -> None:
    lock.__enter__()
    try:
        inside()
    finally:
        lock.__exit__(None, None, None)


def test_who_enters_by_hand_is_not_seen() -> None:
    """A stated rule: it is not even known that these are calls of a lock."""
    assert called_in(entered_by_hand, "lock") == {"inside": False}

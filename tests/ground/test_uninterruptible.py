"""`need_depth`: it says so before anything is done, and costs little where there is room enough."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import pytest

from freezethreads._ground.uninterruptible import need_depth
from helpers import start

ROOM = 40


@contextmanager
def limit(calls: int) -> Iterator[None]:
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(calls)
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


@pytest.fixture
def _usual_limit() -> Iterator[None]:
    with limit(1000):
        yield


def use(calls: int) -> None:
    """Make so many, one inside the other."""
    if calls:
        use(calls - 1)


def down(calls: int, act: Callable[[], object]) -> None:
    """Make the call so many frames further down."""
    if calls:
        down(calls - 1, act)
    else:
        act()


def lies(calls: int, recursion_limit: int) -> bool:
    """Whether somebody so many calls further down is told of room that there is not."""
    told: list[bool] = []

    def act() -> None:
        need_depth()
        told.append(True)
        use(ROOM - 1)
        told.append(True)

    def run() -> None:
        try:
            with limit(recursion_limit):
                down(calls, act)
        except RecursionError:
            pass

    start(run).finish()
    return len(told) == 1


@pytest.mark.parametrize("recursion_limit", [90, 130, 300, 1000])
def test_it_is_right_at_each_depth(recursion_limit: int) -> None:
    depths = [*range(0, recursion_limit, 7), *range(recursion_limit - 60, recursion_limit)]
    assert not [calls for calls in depths if lies(calls, recursion_limit)]


@pytest.mark.usefixtures("_usual_limit")
def test_few_frames_have_room_although_functions_of_c_have_called_each() -> None:
    def through_c(calls: int) -> object:
        if not calls:
            need_depth()
            use(ROOM)
            return None
        further = functools.partial(through_c, calls - 1)
        return max([None], key=lambda _: list(map(lambda _: further(), [None])))

    start(through_c, 30).finish()


@pytest.mark.usefixtures("_usual_limit")
def test_it_is_right_where_functions_of_c_have_called_each_other() -> None:
    """On CPython 3.11 they leave no frame, and still there is less room."""
    lied: list[int] = []

    class Innermost:
        def __repr__(self) -> str:
            told = False
            try:
                need_depth()
                told = True
                use(ROOM - 1)
            except RecursionError:
                if told:
                    lied.append(depth)
            return ""

    def show(depth: int) -> None:
        nested: object = Innermost()
        for _ in range(depth):
            nested = [nested]
        try:
            repr(nested)
        except RecursionError:
            pass

    for depth in range(900, 1000):
        start(show, depth).finish()
    assert not lied


@pytest.mark.skipif(sys.version_info < (3, 12), reason="there few frames do not tell of room")
@pytest.mark.usefixtures("_usual_limit")
def test_it_makes_no_calls_where_there_are_few_frames() -> None:
    def calls_made(frames: int) -> int:
        called: list[str] = []

        def note(frame: FrameType, event: str, argument: object) -> None:
            if event == "call":
                called.append(frame.f_code.co_name)

        def act() -> None:
            sys.setprofile(note)
            need_depth()
            sys.setprofile(None)

        start(down, frames, act).finish()
        return len(called)

    assert calls_made(20) == 1
    assert calls_made(120) > ROOM

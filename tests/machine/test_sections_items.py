"""Locks that come out of a list or a dict: whoever has one is in a section, whatever its name."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pytest

from freezethreads._machine.stacks import shelter_of
from freezethreads._machine.values import has_locks
from helpers import HAS_GIL, WAIT, start, wait_for

pytestmark = pytest.mark.skipif(
    not HAS_GIL, reason="nobody may read the frames of a thread that runs"
)

there, over = threading.Event(), threading.Event()


def stay() -> None:
    there.set()
    assert over.wait(WAIT)


class Shop:
    def __init__(self, table: Any) -> None:
        self.table = table


def with_an_item(table: Sequence[Any]) -> None:
    with table[0]:
        stay()


def with_what_is_worked_out(table: Sequence[Any]) -> None:
    number = 6
    with table[(number + 2) % len(table)]:
        stay()


def with_an_item_of_an_attribute(table: Sequence[Any]) -> None:
    shop = Shop(table)
    with shop.table[0]:
        stay()


def with_a_name_on_the_way(table: Sequence[Any]) -> None:
    with (mine := table[0]):
        del mine
        stay()


def with_an_item_of_a_dict(table: Sequence[Any]) -> None:
    by_name = dict(enumerate(table))
    with by_name[0]:
        stay()


def with_setdefault(table: Sequence[Any]) -> None:
    by_name = dict(enumerate(table))
    with by_name.setdefault(0, table[0]):
        stay()


def acquired(table: Sequence[Any]) -> None:
    table[0].acquire()
    try:
        stay()
    finally:
        table[0].release()


WITH = (
    with_an_item,
    with_what_is_worked_out,
    with_an_item_of_an_attribute,
    with_a_name_on_the_way,
    with_an_item_of_a_dict,
    with_setdefault,
)


def is_sheltered(function: Callable[[Any], None], table: Any) -> bool:
    """Whether a thread that stays in there is in a section."""
    there.clear()
    over.clear()
    worker = start(lambda: function(table))
    try:
        wait_for(there)
        frame = sys._current_frames()[worker.ident or 0]
        return shelter_of(frame, "unlocked", running=False) is not None
    finally:
        over.set()
        worker.finish()


@pytest.mark.parametrize("function", [*WITH, acquired], ids=lambda function: function.__name__)
@pytest.mark.parametrize("make", [threading.Lock, threading.RLock, threading.Condition])
def test_who_has_a_lock_of_a_container_is_in_a_section(
    function: Callable[[Any], None], make: Callable[[], Any]
) -> None:
    assert is_sheltered(function, [make(), make()])
    assert is_sheltered(function, (make(), make()))


@pytest.mark.parametrize("function", WITH, ids=lambda function: function.__name__)
def test_who_has_something_else_of_one_is_in_none(function: Callable[[Any], None]) -> None:
    assert not is_sheltered(function, [contextlib.nullcontext(), contextlib.nullcontext()])


class Named(NamedTuple):
    first: Any


@pytest.mark.parametrize(
    "make",
    [
        lambda lock: [lock],
        lambda lock: (None, lock),
        lambda lock: {"a": 1, "b": lock},
        lambda lock: defaultdict(threading.Lock, a=lock),
        lambda lock: OrderedDict(a=lock),
        Named,
    ],
)
def test_what_has_locks(make: Callable[[Any], object]) -> None:
    assert has_locks(make(threading.Lock()))
    assert not has_locks(make(3))


@pytest.mark.parametrize("nothing", [(), [], {}, "lock", None, 3, threading.Lock()])
def test_what_has_none(nothing: object) -> None:
    assert not has_locks(nothing)


def test_a_container_runs_no_code_of_the_program() -> None:
    class Loud(list[Any]):
        def __iter__(self) -> Any:
            raise AssertionError("it is not to be called")

    assert has_locks(Loud([threading.Lock()]))

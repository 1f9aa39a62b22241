"""The classes that stand in for those of the standard library's locks and queues.

What can be seen of one, and of its objects, is what the original shows on the Python at hand.
"""

from __future__ import annotations

import copy
import inspect
import os
import pickle
import queue
import re
import select
import threading
import warnings
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from freezethreads._install._patches import Row
from freezethreads._install._stand_ins import StandIn
from helpers import WAIT, run_python
from install_rows import ROWS, installed

STAND_INS = [row for row in ROWS if isinstance(row.make, StandIn)]
each = pytest.mark.parametrize("row", STAND_INS, ids=[row.label for row in STAND_INS])


@pytest.fixture(autouse=True)
def originals() -> Iterator[dict[Row, Any]]:
    with installed() as before:
        yield before


def outcome(function: Callable[..., Any], *args: Any, **kwargs: Any) -> tuple[object, ...]:
    """What it returns, as far as it can be compared, or its error; and its warnings."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        try:
            result = _told(function(*args, **kwargs))
        except (TypeError, pickle.PicklingError) as error:
            # What the interpreter says of a class of ours has no module in it.
            result = type(error), re.sub(r"'\w+\.(\w+)' object", r"'\1' object", str(error))
    return result, *(str(warning.message) for warning in seen)


def _told(result: object) -> object:
    if isinstance(result, str):
        return re.sub("0x[0-9a-f]+", "0x", result)
    if isinstance(result, type):
        return f"the class {result.__name__}"
    return result if isinstance(result, (bool, tuple)) else type(result).__name__


def names(thing: Any) -> object:
    return thing.__module__, thing.__qualname__, thing.__name__


def subclass(base: Any) -> type:
    return type("Own", (base,), {"__init__": lambda self, word: None})


def use(thing: Any) -> object:
    """What it says of itself while somebody has it."""
    if not hasattr(thing, "acquire"):
        return repr(thing)
    with thing as entered:
        held = repr(thing)
    return re.sub("owner=[1-9][0-9]*", "owner=me", f"{entered} {held} {thing!r}")


OF_A_CLASS: dict[str, Callable[[Any], Any]] = {
    "names": names,
    "repr": repr,
    "doc": lambda cls: cls.__doc__,
    "call": lambda cls: cls(),
    "one argument": lambda cls: cls("x"),
    "a keyword": lambda cls: cls(a=1),
    "a subclass": subclass,
    "its call": lambda cls: type("Own", (cls,), {})(),
    "its call with an argument": lambda cls: type("Own", (cls,), {})("x"),
    "its own call": lambda cls: subclass(cls)("x"),
    "an argument too few": lambda cls: subclass(cls)(),
    "use of a subclass": lambda cls: str(use(subclass(cls)("x"))).replace(f"{__name__}.", ""),
    "pickled subclass": lambda cls: pickle.dumps(subclass(cls)("x")),
    "copied subclass": lambda cls: copy.copy(subclass(cls)("x")),
    "subscript": lambda cls: str(cls[int]) if hasattr(cls, "__class_getitem__") else "none",
    "or": lambda cls: str(cls | None),
}
OF_A_THING: dict[str, Callable[[Any], Any]] = {
    "use": use,
    "pickled": pickle.dumps,
    "copied": copy.copy,
    "copied deeply": copy.deepcopy,
    "class": lambda thing: names(thing.__class__),
    "type": lambda thing: names(type(thing)),
    "isinstance of its class": lambda thing: isinstance(thing, thing.__class__),
    "isinstance of its type": lambda thing: isinstance(thing, type(thing)),
    "reference": lambda thing: weakref.ref(thing)() is thing,
}


def is_seen(what: str, before: Any) -> bool:
    """Whether the original has it at all. Ours can do more than some: that is no difference."""
    return not (what == "reference" and outcome(OF_A_THING[what], before) != (True,))


@each
@pytest.mark.parametrize("what", OF_A_CLASS)
def test_the_class_is_as_the_originals(row: Row, what: str, originals: dict[Row, Any]) -> None:
    look = OF_A_CLASS[what]
    now, before = getattr(row.find_owner(), row.name), originals[row]
    if isinstance(before, type):
        assert outcome(look, now) == outcome(look, before)
    assert outcome(look, type(now())) == outcome(look, type(before()))


@each
@pytest.mark.parametrize("what", OF_A_THING)
def test_an_object_is_as_the_originals(row: Row, what: str, originals: dict[Row, Any]) -> None:
    look = OF_A_THING[what]
    now, before = getattr(row.find_owner(), row.name)(), originals[row]()
    if is_seen(what, before):
        assert outcome(look, now) == outcome(look, before)


@each
def test_what_makes_it_is_a_function_where_the_original_is(
    row: Row, originals: dict[Row, Any]
) -> None:
    """And nothing that could be subclassed, or asked for instances."""
    now, before = getattr(row.find_owner(), row.name), originals[row]
    assert isinstance(now, type) == isinstance(before, type)
    for args, kwargs in ((1,), {}), ((), {"a": 1}), ((1, 2), {"a": 1}):
        assert outcome(now, *args, **kwargs) == outcome(before, *args, **kwargs)
    assert outcome(type, "Own", (now,), {}) == outcome(type, "Own", (before,), {})
    assert outcome(isinstance, now(), now) == outcome(isinstance, before(), before)


@each
def test_what_one_made_is_an_instance_of_the_others_class(
    row: Row, originals: dict[Row, Any]
) -> None:
    """A program may have got its objects, and the class of such, before or after."""
    now, before = getattr(row.find_owner(), row.name)(), originals[row]()
    assert isinstance(before, type(now))
    assert isinstance(now, type(before))
    assert issubclass(type(before), type(now))
    assert not isinstance(object(), type(now))
    assert not issubclass(object, type(now))


def test_an_instance_of_a_subclass_is_what_was_made_of_it() -> None:
    class Own(queue.SimpleQueue[int]):
        def __init__(self, item: int) -> None:
            super().__init__()
            self.put(item)

    own = Own(3)
    assert own.get(timeout=WAIT) == 3
    assert isinstance(own, Own)
    assert isinstance(own, queue.SimpleQueue)
    assert own.__class__ is Own
    assert not isinstance(queue.SimpleQueue(), Own)
    assert not issubclass(queue.SimpleQueue, Own)
    assert str(inspect.signature(Own.__init__)) == "(self, item: 'int') -> 'None'"


def test_the_class_of_a_reentrant_lock_can_be_subclassed() -> None:
    """Also by one that never calls the `__init__` of its base: in C that does nothing."""
    base: Any = type(threading.RLock())

    class Own(base):  # type: ignore[misc]
        def __init__(self, name: str) -> None:
            self.name = name

    own = Own("mine")
    with own as entered:
        assert entered is True
        assert own._is_owned()
        base.__init__(own)  # and it takes nobody's lock away
        assert own._is_owned()
    assert own.name == "mine"


@pytest.mark.skipif(not hasattr(select, "epoll"), reason="not on this platform")
def test_what_is_made_of_a_descriptor_is_of_the_class() -> None:
    with select.epoll() as one, select.epoll.fromfd(os.dup(one.fileno())) as other:
        assert type(other) is type(one)
        assert other.poll(0) == []
    with pytest.raises(ValueError, match="closed epoll object"):
        other.poll(0)


@each
def test_its_class_is_pickled_by_name_where_the_original_has_one(
    row: Row, originals: dict[Row, Any]
) -> None:
    """By a name that leads to the original in a process without an installation."""
    now, before = getattr(row.find_owner(), row.name), originals[row]
    if isinstance(before, type):
        names = pickle.dumps(now)
        assert pickle.loads(names) is now
        code = "import pickle, sys; print(pickle.loads(bytes.fromhex(sys.argv[1])))"
        assert run_python(code, names.hex()).stdout == f"{before!r}\n"


def test_all_is_back_in_its_place() -> None:
    code = """
import _queue, _thread, queue, threading
before = _queue.SimpleQueue, getattr(_thread, "lock", None), _thread.RLock, threading.Lock
import freezethreads
with freezethreads.install():
    assert _queue.SimpleQueue is queue.SimpleQueue is not before[0]
    assert _thread.RLock is before[2]  # the import system makes its locks of that
after = _queue.SimpleQueue, getattr(_thread, "lock", None), _thread.RLock, threading.Lock
assert after == before
"""
    run_python(code)


def test_what_trio_and_loky_ask_for() -> None:
    """At the first import of either: in plain Python both are so."""
    assert threading.RLock().__class__.__module__ == "_thread"

    class LokyRLock(type(threading.RLock())):  # type: ignore[misc]
        def _recursion_count(self) -> int:
            return 1

    with LokyRLock() as entered:
        assert entered is True

"""Where a lock is held, read from bytecode: each instruction of a block, and none after it."""

from __future__ import annotations

import ast
import asyncio
import concurrent.futures
import contextlib
import dis
import functools
import gc
import logging
import multiprocessing.pool
import queue
import socketserver
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import Any

import pytest

from freezethreads._machine.sections import sections_of
from freezethreads._machine.stacks import shelter_of
from freezethreads._machine.values import (
    UNKNOWN,
    is_called_like_a_lock,
    is_lock,
    lock_of,
    value_of,
)
from machine import InPython, called_in, check_sheltered_while_held, is_in

pytestmark = pytest.mark.skipif(sys.version_info < (3, 12), reason="no sys.monitoring there")


inside: Any = None
outside: Any = None
inside_too: Any = None
after: Any = None
Wrong: Any = None


def plain(lock: Any) -> None:
    outside()
    with lock:
        inside()
    after()


def of_an_attribute(self: Any) -> object:
    outside()
    with self.a.lock:
        if inside():
            return inside_too()
    return after()


def with_a_try_inside(lock: Any) -> object:
    while outside():
        with lock:
            try:
                inside()
            except Wrong:
                return inside_too()
            finally:
                inside()
    return after()


def acquired(lock: Any) -> None:
    lock.acquire()
    try:
        inside()
    finally:
        lock.release()
    after()


def acquired_in_time(lock: Any) -> None:
    if not lock.acquire(timeout=1):
        raise Wrong
    try:
        inside()
    finally:
        lock.release()
    after()


@pytest.mark.parametrize("function", [plain, acquired, acquired_in_time, with_a_try_inside])
def test_what_is_inside_is_in_the_section_and_nothing_else(function: Callable[..., Any]) -> None:
    found = called_in(function, "lock")
    names = {"inside": True, "inside_too": True, "outside": False, "after": False}
    names["Wrong"] = function is with_a_try_inside
    assert found == {name: is_inside for name, is_inside in names.items() if name in found}
    assert {"inside", "after"} <= set(found)


def test_a_chain_of_attributes() -> None:
    found = called_in(of_an_attribute, "self.a.lock")
    assert found == {"outside": False, "inside": True, "inside_too": True, "after": False}


def two_locks(first: Any, second: Any) -> None:
    with first, second:
        inside()
    after()


def test_two_locks_of_one_statement_are_two_sections() -> None:
    assert called_in(two_locks, "first") == {"inside": True, "after": False}
    assert called_in(two_locks, "second") == {"inside": True, "after": False}


def no_freeze(freezer: Any) -> None:
    with freezer.no_freeze():
        inside()
    after()


def test_no_freeze_is_a_section_of_nothing() -> None:
    assert called_in(no_freeze, None) == {"inside": True, "after": False}


async def not_of_threads(lock: Any) -> None:
    async with lock:
        inside()


def of_a_call(path: Any) -> None:
    with path.open() as file:
        inside(file)


def not_its_own(lock: Any) -> None:
    try:
        inside()
    finally:
        after()
        if lock.locked():
            lock.release()


@pytest.mark.parametrize("function", [not_of_threads, not_its_own])
def test_what_is_no_section(function: Callable[..., Any]) -> None:
    assert sections_of(function.__code__) == ()


def test_the_call_that_releases_is_in_it_and_what_comes_next_is_not() -> None:
    """The trap asks before an instruction: before the call the lock is held, and after it not."""
    for function in (plain, acquired):
        code = function.__code__
        calls = [one for one in dis.get_instructions(code) if one.opname == "CALL"]
        loads = [one for one in dis.get_instructions(code) if one.argval == "after"]
        release = [call for call in calls if call.offset < loads[0].offset][-1]
        assert is_in(code, release.offset, "lock")
        following = next(one for one in dis.get_instructions(code) if one.offset > release.offset)
        assert not is_in(code, following.offset, "lock")


def acquired_if(lock: Any) -> None:
    if lock.acquire(timeout=1):
        try:
            inside()
        finally:
            lock.release()
    after()


def acquired_if_not(lock: Any) -> None:
    if not lock.acquire(blocking=False):
        return
    try:
        inside()
    finally:
        lock.release()
    after()


def acquired_and_kept(lock: Any) -> None:
    got = lock.acquire(timeout=float("10") * 2)
    try:
        inside()
    finally:
        if got:
            lock.release()
    after()


def acquired_in_a_loop(lock: Any) -> None:
    while not lock.acquire(True, 0.1):
        outside()
    try:
        inside()
    finally:
        lock.release()
    after()


def with_an_instruction_that_does_nothing(lock: Any) -> object:
    x = 0
    with lock:
        try:
            if inside():
                return inside_too()
            else:
                try:
                    return x
                finally:
                    x = 1
        finally:
            x = 1
    return x


def released_last(lock: Any) -> None:
    lock.acquire()
    try:
        inside()
    finally:
        inside_too()
        lock.release()
    after()


def acquired_before_others(lock: Any) -> None:
    second, third = threading.Lock(), threading.RLock()
    lock.acquire()
    second.acquire()
    if not third.acquire(timeout=1):
        return
    try:
        inside()
    finally:
        third.release()
        second.release()
        lock.release()
    after()


def that_is_another_one_by_now(self: Any) -> None:
    with self.lock:
        self.lock = None
        inside()
    after()


def of_an_item(locks: Any, key: Any) -> None:
    with locks[key.a, key.b(1) % 4]:
        inside()
    after()


# Its code has so many names that the numbers of some need a prefix.
wide: dict[str, Any] = {"inside": None, "after": None}
exec(
    "def with_many_names(self):\n"
    + "".join(f"    n{i} = 'c{i}'\n" for i in range(300))
    + "".join(f"    self.a{i}\n" for i in range(300))
    + "    with self.lock:\n        inside()\n    after()\n",
    wide,
)
with_many_names: Callable[..., Any] = wide["with_many_names"]


HELD = [
    (plain, "lock"),
    (of_an_attribute, "self.a.lock"),
    (acquired, "lock"),
    (acquired_in_time, "lock"),
    (acquired_if, "lock"),
    (acquired_if_not, "lock"),
    (acquired_and_kept, "lock"),
    (acquired_in_a_loop, "lock"),
    (released_last, "lock"),
    (with_an_instruction_that_does_nothing, "lock"),
    (with_many_names, "self.lock"),
    (acquired_before_others, "lock"),
    (that_is_another_one_by_now, "self.lock"),
]


class Owner:
    """Has a lock wherever it is looked for."""

    def __init__(self, lock: Any) -> None:
        self.lock = lock
        self.__dict__.update({f"a{i}": None for i in range(300)}, a=self)


@pytest.mark.parametrize("make", [threading.Lock, InPython])
@pytest.mark.parametrize(("function", "chain"), HELD, ids=lambda one: getattr(one, "__name__", ""))
def test_before_each_instruction_that_finds_it_held_it_is_in_a_section(
    function: Callable[..., Any], chain: str, make: Callable[[], Any], monkeypatch: Any
) -> None:
    """Asked in each instruction that is executed, also of the lock's own code."""
    lock = make()
    for space in (globals(), wide):
        for name in ("outside", "inside", "inside_too", "after"):
            monkeypatch.setitem(space, name, bool)
    monkeypatch.setitem(globals(), "Wrong", ValueError)
    owner = Owner(lock) if chain.startswith("self.") else lock
    check_sheltered_while_held(
        lock, lambda code: code.co_filename in (__file__, "<string>"), lambda: function(owner)
    )


def test_an_item_of_what_is_called_like_locks_is_taken_for_one() -> None:
    assert called_in(of_an_item, "locks[]") == {"inside": True, "after": False}


def test_the_call_that_acquires_counts_while_the_thread_runs_in_it() -> None:
    """Who waits in there has not got it yet."""
    asked: list[bool] = []

    class Looks(InPython):
        def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
            for running in (True, False):
                found = shelter_of(sys._getframe(), "unlocked", running=running)
                asked.append(found is not None)
            return super().acquire(blocking, timeout)

    lock = Looks()
    with lock:
        pass
    if lock.acquire(timeout=1):
        try:
            asked.append(lock.locked())
        finally:
            lock.release()
    assert asked == [True, False, True, False, True]


def codes_in(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from codes_in(constant)


def bodies_in(tree: ast.AST) -> Iterator[tuple[str, int, int, int]]:
    """Each `with` over a name or a chain of attributes: that, its line, and those of its body."""
    for node in ast.walk(tree):
        if isinstance(node, ast.With):
            for item in node.items:
                root = item.context_expr
                while isinstance(root, ast.Attribute):
                    root = root.value
                if isinstance(root, ast.Name) and node.body[0].lineno > node.lineno:
                    last = node.body[-1].end_lineno or 0
                    yield ast.unparse(item.context_expr), node.lineno, node.body[0].lineno, last


MODULES = (
    threading,
    queue,
    logging,
    concurrent.futures._base,
    concurrent.futures.thread,
    multiprocessing.pool,
    socketserver,
    tempfile,
    functools,
    asyncio.base_events,
)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_every_instruction_of_a_body_is_in_its_section(module: ModuleType) -> None:
    """By the lines of the standard library's own blocks. (What is left of a `return` when the lock
    has been released has the block's line, and may be outside.)"""
    path = Path(module.__file__ or "")
    text = path.read_text(encoding="utf-8")
    bodies = list(bodies_in(ast.parse(text)))
    missed = []
    for code in codes_in(compile(text, str(path), "exec")):
        for one in dis.get_instructions(code):
            line = one.positions.lineno if one.positions else None
            for chain, begin, first, last in bodies:
                if line is None or not first <= line <= last or code.co_firstlineno > begin:
                    continue
                is_rest = one.opname == "NOP" or one.opname.startswith("RETURN")
                if not is_rest and not is_in(code, one.offset, chain):
                    missed.append((code.co_qualname, line, one.offset, one.opname, chain))
    assert not missed


class Account:
    mark = "the class's"

    def __init__(self) -> None:
        self.lock = threading.Lock()

    @property
    def computed(self) -> Any:
        raise AssertionError("code of the program was called")


class Slotted:
    __slots__ = ("empty", "lock")

    def __init__(self) -> None:
        self.lock = threading.RLock()


global_lock = threading.Lock()


def frame_with(account: Account, slotted: Slotted) -> FrameType:
    return sys._getframe()


def test_what_a_chain_leads_to_is_found_without_a_call() -> None:
    account, slotted = Account(), Slotted()
    frame = frame_with(account, slotted)
    assert value_of(("fast", "account", "lock"), frame) is account.lock
    assert value_of(("fast", "account", "mark"), frame) == "the class's"
    assert value_of(("fast", "slotted", "lock"), frame) is slotted.lock
    assert value_of(("global", "global_lock"), frame) is global_lock
    assert value_of(("global", "threading", "Lock"), frame) is threading.Lock
    assert value_of(("global", "len"), frame) is len
    for chain in (
        ("fast", "nobody"),
        ("fast", "account", "computed"),
        ("fast", "account", "nothing"),
        ("fast", "slotted", "empty"),
    ):
        assert value_of(chain, frame) is UNKNOWN


def test_what_is_a_lock() -> None:
    for lock in (
        threading.Lock(),
        threading.RLock(),
        threading.Condition(),
        threading.Semaphore(),
        multiprocessing.Lock(),
    ):
        assert is_lock(lock)
    for other in (None, 3, "lock", asyncio.Lock(), tempfile, Account(), threading.Event()):
        assert not is_lock(other)


@pytest.mark.parametrize(
    "name", ["_write_lock", "get_lock()", "locks[]", "RLock", "filelock", "mutex", "_cv", "locked"]
)
def test_what_is_called_like_a_lock(name: str) -> None:
    assert is_called_like_a_lock(name)


@pytest.mark.parametrize(
    "name",
    [
        *("connection", "block", "clock", "unlock", "seconds", "blocking()", "assembly", "recv"),
        "conditions()",  # most often those of a contract
    ],
)
def test_what_is_not_called_like_a_lock(name: str) -> None:
    assert not is_called_like_a_lock(name)


def with_values(lock: Any, other: Any, unset: Any) -> FrameType:
    del unset  # so that the global one is not what is meant
    return sys._getframe()


unset = threading.Lock()


def test_what_a_name_says_counts_only_where_its_value_does_not_tell() -> None:
    for nothing in (None, 3):  # nobody can have entered that: the name led elsewhere before
        frame = with_values(nothing, nothing, None)
        assert lock_of(("fast", "lock"), frame) is UNKNOWN
        assert lock_of(("fast", "other"), frame) is None
    for other in (contextlib.nullcontext(), asyncio.Lock()):
        assert lock_of(("fast", "lock"), with_values(other, other, None)) is None
    held = threading.Lock()
    frame = with_values(held, held, None)
    assert lock_of(("fast", "other"), frame) is held
    assert lock_of(("fast", "unset"), frame) is None


def test_nothing_is_kept_of_code_that_is_gone() -> None:
    from freezethreads._machine import sections

    code = compile("with lock:\n    pass", "gone", "exec")
    assert sections_of(code)
    key = id(code)
    assert key in sections._known
    del code
    gc.collect()  # without a GIL code is counted by the collector alone
    assert key not in sections._known


def acquired_inside(lock: Any) -> None:
    try:
        lock.acquire()
        inside()
    finally:
        lock.release()


def test_who_waits_for_a_lock_inside_the_block_that_releases_it_has_it_not() -> None:
    """`Thread.join` has such a block up to CPython 3.12."""
    code = acquired_inside.__code__
    call = next(one for one in dis.get_instructions(code) if one.opname == "CALL")
    sections = [each for each in sections_of(code) if each.start <= call.offset < each.end]
    assert sections
    assert any(each.covers(call.offset, running=True) for each in sections)
    assert not any(each.covers(call.offset, running=False) for each in sections)

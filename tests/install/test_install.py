"""An installation from its beginning to its end: all or nothing, and in the end all as before."""

from __future__ import annotations

import dis
import gc
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import freezethreads
from freezethreads import FreezeError, Freezer, default_freezer
from freezethreads._install import _installation, _table
from freezethreads._install._patches import Function, Patch, Row, Switch
from freezing import Pause, before
from helpers import WAIT, run_python, start
from injection import Boom, Injection, watching
from install_rows import differences, names_of_owners


@pytest.fixture
def freezer() -> Freezer:
    return Freezer("under test")


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """Each test leaves the standard library as it was."""
    names = names_of_owners()
    yield
    left = list(_installation._in_force)
    for installation in left:
        installation.uninstall()
    assert not left
    assert not differences(names, names_of_owners())


def test_it_replaces_what_the_table_says_and_nothing_else(freezer: Freezer) -> None:
    rows = [row for row in _table.TABLE if row.find_owner()]
    wanted = {".".join(filter(None, (row.module, row.owner, row.name))) for row in rows}
    if sys.version_info >= (3, 13):
        wanted.add("_thread.lock")  # by that name `threading.Lock` is pickled
    wanted.add("threading.excepthook")  # of `_report.ended`, and no wait
    names = names_of_owners()
    with freezethreads.install(freezer) as installation:
        assert differences(names, names_of_owners()) == wanted
        assert repr(installation) == f"<Installation of {len(rows)} names, in force>"
    assert not differences(names, names_of_owners())
    assert "ended" in repr(installation)


@pytest.mark.skipif(sys.platform != "linux", reason="the list is that of Linux")
def test_every_row_of_the_table_means_something() -> None:
    missing = {row.label for row in _table.TABLE if row.find_owner() is None}
    newer = set() if sys.version_info >= (3, 13) else {"_thread.start_joinable_thread"}
    assert missing == {"KqueueSelector.select", *newer}


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"freezer": "default"}, TypeError),
        ({"freezer": Freezer}, TypeError),
        ({"group": 1}, TypeError),
        ({"group": "io."}, ValueError),
    ],
)
def test_wrong_arguments_are_refused(arguments: Any, error: type[Exception]) -> None:
    names = names_of_owners()
    with pytest.raises(error):
        freezethreads.install(**arguments)
    assert not differences(names, names_of_owners())


def test_a_second_one_is_refused_with_nothing_touched(freezer: Freezer) -> None:
    with freezethreads.install(freezer) as first:
        names = names_of_owners()
        with pytest.raises(FreezeError, match=r"in force already: .* uninstall\(\) it first"):
            freezethreads.install(Freezer())
        assert not differences(names, names_of_owners())
        first.uninstall()
        with freezethreads.install(freezer):
            first.uninstall()  # which is over: nothing happens
            assert names_of_owners() != names


def test_uninstall_may_be_repeated(freezer: Freezer) -> None:
    names = names_of_owners()
    with freezethreads.install(freezer) as installation:
        installation.uninstall()
        installation.uninstall()
    assert not differences(names, names_of_owners())


def test_the_default_freezer_is_the_default() -> None:
    with freezethreads.install(group="all.of.them"):
        listed = start(default_freezer.threads).finish()
    assert [info.group for info in listed] == ["all.of.them"]
    assert default_freezer.threads() == ()


def test_what_fails_half_way_is_undone(freezer: Freezer, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(original: Function, switch: Switch, label: str) -> Function:
        raise ZeroDivisionError

    table = [*_table.TABLE, Row("time", "", "monotonic", fail)]
    monkeypatch.setattr(_table, "TABLE", table)
    names = names_of_owners()
    with pytest.raises(ZeroDivisionError):
        freezethreads.install(freezer)
    assert not differences(names, names_of_owners())
    monkeypatch.setattr(_table, "TABLE", table[:-1])
    freezethreads.install(freezer).uninstall()


def shorten(monkeypatch: pytest.MonkeyPatch) -> None:
    """One row of each kind: what may go wrong at each bytecode is the same for all of them."""
    wanted = {"Thread.start", "socket.recv", "threading.Lock", "time.sleep"}
    rows = [row for row in _table.TABLE if row.label in wanted]
    monkeypatch.setattr(_table, "TABLE", rows)
    gc.collect()  # what other tests have left is not to die amid this, and be hit as it does


PATCH = (True, False) if sys.version_info >= (3, 12) else (True,)


def is_watched() -> bool:
    """Whether one that replaces nothing has left something in the interpreter."""
    monitoring: Any = getattr(sys, "monitoring", None)
    return monitoring is not None and "freezethreads.install" in map(monitoring.get_tool, range(6))


def is_return(function: Callable[..., object], injection: Injection) -> bool:
    """Whether it hit the instruction that returns, where CPython itself raises nothing."""
    returns = [i.offset for i in dis.get_instructions(function) if i.opname.startswith("RETURN")]
    assert injection.hit is not None
    name, offset = injection.hit
    return name == function.__qualname__ and offset in returns


@pytest.mark.parametrize("patch", PATCH)
def test_an_exception_at_any_point_of_install(
    freezer: Freezer, monkeypatch: pytest.MonkeyPatch, patch: bool
) -> None:
    shorten(monkeypatch)
    names = names_of_owners()
    freezethreads.install(freezer, patch=patch).uninstall()  # which imports something at first
    with watching():
        for at in range(10**6):
            injection = Injection(at)
            try:
                with injection:
                    freezethreads.install(freezer, patch=patch)
            except Boom:
                if is_return(freezethreads.install, injection):
                    _installation._in_force[0].uninstall()
                assert not differences(names, names_of_owners()), injection.hit
                assert not _installation._in_force, injection.hit
                assert not is_watched(), injection.hit
            else:
                assert injection.hit is None
                break
    assert at > 100
    _installation._in_force[0].uninstall()


@pytest.mark.parametrize("patch", PATCH)
def test_an_exception_at_any_point_of_uninstall(
    freezer: Freezer, monkeypatch: pytest.MonkeyPatch, patch: bool
) -> None:
    """What it cuts short can be done again."""
    shorten(monkeypatch)
    names = names_of_owners()
    with watching():
        for at in range(10**6):
            installation = freezethreads.install(freezer, patch=patch)
            injection = Injection(at)
            try:
                with injection:
                    installation.uninstall()
            except Boom:
                installation.uninstall()
            else:
                assert injection.hit is None
                break
            assert not differences(names, names_of_owners()), injection.hit
            assert not is_watched(), injection.hit
    assert at > 20


def test_many_threads_install_and_uninstall(freezer: Freezer) -> None:
    """Each gets its turn, though it is refused again and again, and has it for itself."""
    together = threading.Barrier(4)

    def work() -> int:
        together.wait(WAIT)
        refused = turns = 0
        while turns < 5:
            try:
                with freezethreads.install(freezer) as mine:
                    time.sleep(0.001)  # the others try meanwhile
                    assert _installation._in_force == [mine]
                    turns += 1
            except FreezeError:
                refused += 1
        return refused

    assert sum([thread.finish() for thread in [start(work) for _ in range(4)]])


def test_one_waits_for_another_that_is_half_way(
    freezer: Freezer, monkeypatch: pytest.MonkeyPatch
) -> None:
    pause = Pause()
    before(monkeypatch, Patch, "apply", pause)
    first = start(freezethreads.install, freezer)
    pause.wait()
    second = start(freezethreads.install, freezer)
    assert _installation._in_force
    pause.go()
    installation = first.finish()
    with pytest.raises(FreezeError):
        second.finish()
    installation.uninstall()


# What it costs who does not use it.


def test_importing_the_package_imports_nothing_for_it() -> None:
    names = ("_ssl", "select", "selectors", "signal", "socket", "ssl", "subprocess")
    result = run_python("import sys, freezethreads; print(*sys.modules)")
    assert not set(names) & set(result.stdout.split())


def test_a_python_without_encryption() -> None:
    code = """
import sys
sys.modules["_ssl"] = None
import freezethreads, threading
with freezethreads.install():
    thread = threading.Thread(target=lambda: print(len(freezethreads.threads())))
    thread.start()
    thread.join()
"""
    assert run_python(code).stdout == "1\n"

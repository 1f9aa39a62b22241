"""An installation that replaces nothing: who is enrolled, how a freeze stops them, what is left."""

from __future__ import annotations

import _thread
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import freezethreads
from freezethreads import FreezeError, Freezer, FreezeTimeout, Installation
from freezethreads._install import _installation
from helpers import WAIT, run_python, start, wait_for, wait_until
from install_rows import differences, names_of_owners
from machine import loaded, needs_monitoring, nothing_is_left

monitoring: Any = getattr(sys, "monitoring", None)
CODE = threading.Thread._bootstrap_inner.__code__  # type: ignore[attr-defined]


@pytest.fixture
def freezer() -> Freezer:
    return Freezer("under test")


@pytest.fixture
def installation(freezer: Freezer) -> Iterator[Installation]:
    with freezethreads.install(freezer, group="all", patch=False) as installation:
        yield installation


def tools() -> list[str | None]:
    """Who has which of the interpreter's ids."""
    return [monitoring.get_tool(tool) for tool in range(6)]


def spin() -> None:
    for _ in range(50):
        pass


class Overriding(threading.Thread):
    """A thread that overrides `run()`."""

    def __init__(self, call: Callable[[], object]) -> None:
        super().__init__()
        self.call = call

    def run(self) -> None:
        self.call()


def by_pool(call: Callable[[], object]) -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(call).result(WAIT)


def by_thread(call: Callable[[], object]) -> None:
    thread = threading.Thread(target=call)
    thread.start()
    thread.join(WAIT)
    assert "run" not in vars(thread)


def by_timer(call: Callable[[], object]) -> None:
    timer = threading.Timer(0, call)
    timer.start()
    timer.join(WAIT)


def by_subclass(call: Callable[[], object]) -> None:
    thread = Overriding(call)
    thread.start()
    thread.join(WAIT)
    assert "run" not in vars(thread)


# What is there, and what is not.


@needs_monitoring
def test_nothing_is_replaced_and_one_function_is_watched(freezer: Freezer) -> None:
    names, before = names_of_owners(), tools()
    with freezethreads.install(freezer, patch=False) as installation:
        assert differences(names, names_of_owners()) == {"threading.excepthook"}
        assert repr(installation) == "<Installation of 0 names, in force>"
        (tool,) = [tool for tool in range(6) if tools()[tool] != before[tool]]
        assert monitoring.get_events(tool) == 0
        assert monitoring.get_local_events(tool, CODE) == monitoring.events.PY_START
        start(spin).finish()
    assert not differences(names, names_of_owners())
    assert tools() == before
    monitoring.use_tool_id(tool, "test")
    assert monitoring.get_local_events(tool, CODE) == 0
    monitoring.free_tool_id(tool)
    installation.uninstall()
    assert tools() == before


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="there it can be had")
def test_before_cpython_3_12_it_says_what_to_do(freezer: Freezer) -> None:
    with pytest.raises(FreezeError, match=r"needs CPython 3\.12 .* 3\.11: use install\(\), which"):
        freezethreads.install(freezer, patch=False)
    assert not _installation._in_force


@pytest.mark.parametrize("patch", [None, 0, "no"])
def test_a_wrong_argument_is_refused(freezer: Freezer, patch: Any) -> None:
    with pytest.raises(TypeError, match="patch must be True or False"):
        freezethreads.install(freezer, patch=patch)
    assert not _installation._in_force


@needs_monitoring
def test_without_two_ids_it_is_refused_with_nothing_touched(freezer: Freezer) -> None:
    taken = [tool for tool in range(6) if tools()[tool] is None]
    free = taken.pop()
    for tool in taken:
        monitoring.use_tool_id(tool, "test")
    try:
        before = tools()
        with pytest.raises(FreezeError, match=r"needs two of the six ids .* 1 is free"):
            freezethreads.install(freezer, patch=False)
        assert (tools(), freezer._registry.where) == (before, "safepoint")
        assert not _installation._in_force
        monitoring.free_tool_id(taken.pop())
        with freezethreads.install(freezer, patch=False), freezer.freeze():
            assert tools()[free] is not None
    finally:
        for tool in range(6):
            if tools()[tool] == "test":
                monitoring.free_tool_id(tool)


# Who is enrolled.


@needs_monitoring
@pytest.mark.usefixtures("installation")
@pytest.mark.parametrize("begin", [by_thread, by_subclass, by_timer, by_pool])
def test_each_thread_is_enrolled_while_it_runs(
    freezer: Freezer, begin: Callable[[Callable[[], object]], None]
) -> None:
    seen: list[tuple[int, str]] = []
    begin(lambda: seen.extend((info.ident, info.group) for info in freezer.threads()))
    ((ident, group),) = seen
    assert group == "all"
    assert ident != threading.get_ident()
    assert freezer.threads() == ()


@needs_monitoring
@pytest.mark.usefixtures("installation")
def test_who_registers_by_itself_is_enrolled_as_it_says(freezer: Freezer) -> None:
    groups = []

    def look() -> None:
        groups.append([info.group for info in freezer.threads()])

    def register() -> None:
        with freezer.register(group="own"):
            look()
        look()

    start(register).finish()
    thread = freezethreads.Thread("own", look, freezer=freezer)
    thread.start()
    thread.join(WAIT)
    assert groups == [["own"], ["all"], ["own"]]


@needs_monitoring
@pytest.mark.usefixtures("installation")
def test_the_threads_of_the_library_are_not(freezer: Freezer) -> None:
    with freezer.freeze(lease=WAIT):
        assert freezer.threads() == ()


@needs_monitoring
def test_who_ran_before_is_missed_and_can_enrol_itself(freezer: Freezer) -> None:
    go, enrolled, over = threading.Event(), threading.Event(), threading.Event()
    made: list[Installation] = []

    def run() -> None:
        wait_for(go)
        made[0].enrol()
        enrolled.set()
        wait_for(over)

    early = start(run)
    with freezethreads.install(freezer, patch=False) as installed:
        made.append(installed)
        assert early in installed.missed
        go.set()
        wait_for(enrolled)
        assert early not in installed.missed
        assert [info.ident for info in freezer.threads()] == [early.ident]
    assert freezer.threads() == ()
    over.set()
    early.finish()


@needs_monitoring
def test_when_it_has_ended_nobody_is_enrolled(freezer: Freezer) -> None:
    installation = freezethreads.install(freezer, patch=False)
    with loaded(early=spin):
        assert len(freezer.threads()) == 1
        installation.uninstall()
        assert freezer.threads() == ()
        with loaded(late=spin):
            assert freezer.threads() == ()


@needs_monitoring
def test_the_child_of_a_fork_enrols_its_threads() -> None:
    code = """
import os, threading, freezethreads
freezethreads.install(group="all", patch=False)
pid = os.fork()
seen = []
thread = threading.Thread(target=lambda: seen.extend(freezethreads.threads()))
thread.start()
thread.join()
with freezethreads.freeze() as world:
    found = [info.group for info in seen], world.where
if pid:
    os.waitpid(pid, 0)
print(*found, flush=True)
"""
    assert run_python(code).stdout == "['all'] unlocked\n" * 2


# How a freeze stops them.


@needs_monitoring
@pytest.mark.usefixtures("installation")
def test_a_freeze_that_does_not_say_where_is_unlocked(freezer: Freezer) -> None:
    with loaded(one=spin, other=spin) as load:
        with freezer.freeze() as world:
            before = dict(load.counts)
            assert world.where == "unlocked"
            assert {"one", "other"} <= {info.name for info in world.threads}
            assert load.counts == before
        assert freezer.run_frozen(lambda: freezer.freeze().where) == "unlocked"
        with freezer.hold() as hold:
            assert hold.where == "unlocked"
        load.goes_on()
    assert nothing_is_left()


@needs_monitoring
@pytest.mark.usefixtures("installation")
def test_it_stops_who_is_not_enrolled_as_well(freezer: Freezer) -> None:
    """One that `_thread` has started, of which nobody is told."""
    count, over = [0], threading.Event()

    def run() -> None:
        while not over.is_set():
            count[0] += 1

    ident = _thread.start_new_thread(run, ())
    wait_until(lambda: count[0] > 0)
    with freezer.freeze() as world:
        before = count[0]
        assert ident in {info.ident for info in world.threads}
        assert count[0] == before
    wait_until(lambda: count[0] > before)
    over.set()


@needs_monitoring
@pytest.mark.usefixtures("installation")
def test_its_group_can_be_frozen_alone(freezer: Freezer) -> None:
    over: list[None] = []
    steps = [0]

    def run() -> None:
        with freezer.register(group="other"):
            while not over:
                steps[0] += 1

    with loaded(mine=spin) as load:
        other = start(run)
        wait_until(lambda: steps[0] > 0)  # before, it is in the group of all
        with freezer.freeze(group="all") as world:
            assert [info.name for info in world.threads] == ["mine"]
            before = dict(load.counts)
            some = steps[0]
            wait_until(lambda: steps[0] > some)
            assert load.counts == before
        over.append(None)
        other.finish()


@needs_monitoring
@pytest.mark.usefixtures("installation")
def test_a_thread_that_begins_meanwhile_waits_for_the_thaw(freezer: Freezer) -> None:
    begun: list[str] = []
    with freezer.freeze():
        worker = start(begun.append, "first line")
        assert begun == []
        with freezer.freeze() as world:
            assert world.where == "unlocked"
    worker.finish()
    assert begun == ["first line"]


@needs_monitoring
@pytest.mark.usefixtures("installation")
def test_what_a_freeze_says_comes_first(freezer: Freezer) -> None:
    with freezer.freeze(where="anywhere") as world:
        assert world.where == "anywhere"
        assert freezer.freeze().where == "anywhere"  # the world that there is
        with pytest.raises(FreezeError, match="does not promise what where='unlocked' does"):
            freezer.freeze(where="unlocked")
    with freezer.freeze(where="safepoint"):
        assert freezer.freeze().where == "safepoint"
    with loaded(busy=spin), pytest.raises(FreezeTimeout):  # it comes to no safepoint
        freezer.freeze(where="safepoint", timeout=0.05)


@needs_monitoring
def test_other_freezers_are_as_ever_and_so_is_this_one_afterwards(freezer: Freezer) -> None:
    with freezethreads.install(freezer, patch=False), Freezer("other").freeze() as world:
        assert world.where == "safepoint"
    with freezer.freeze() as world:
        assert world.where == "safepoint"
    with freezethreads.install(freezer), freezer.freeze() as world:
        assert world.where == "safepoint"

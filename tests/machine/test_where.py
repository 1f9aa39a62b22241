"""Freezes that stop threads between two bytecodes: what stands, what goes on, and what is left."""

from __future__ import annotations

import os
import queue
import signal
import socket
import sys
import threading
import time
import warnings
from collections.abc import Callable
from typing import Any

import pytest

import freezethreads
from freezethreads import FreezeError, Freezer, LeaseExpired, ThreadBlocked
from freezethreads._machine import trap
from helpers import HAS_GIL, WAIT, run_python, start, wait_for, wait_until
from machine import (
    STEPS,
    Blocked,
    Load,
    loaded,
    needs_monitoring,
    nothing_is_left,
    recurse,
    site_of,
    spin,
)

pytestmark = needs_monitoring


@pytest.mark.parametrize("name", STEPS)
def test_a_thread_stands_whatever_it_does(name: str, where: Any) -> None:
    with loaded(**{name: STEPS[name]}) as load:
        for _ in range(20):
            with freezethreads.freeze(where=where):
                before = dict(load.counts)
                time.sleep(0.002)  # time itself is what is tested: that nothing moves in it
                assert load.counts == before
            load.goes_on()


def test_all_of_them_at_once(where: Any) -> None:
    with loaded(**STEPS) as load:
        for _ in range(10):
            with freezethreads.freeze(where=where) as world:
                before = dict(load.counts)
                time.sleep(0.002)
                assert load.counts == before
                assert set(STEPS) <= {info.name for info in world.threads}
            load.goes_on()


def sleep_and_tell(got: list[Any]) -> None:
    time.sleep(0.01)
    got.append(None)


def test_of_one_world_after_the_other_they_execute_something_in_between(where: Any) -> None:
    with loaded(sleep=STEPS["sleep"], spin=spin) as load:
        before = dict(load.counts)
        worlds = 0
        while any(load.counts[name] < before[name] + 3 for name in before):
            worlds += 1
            assert worlds < 1000, (before, load.counts)
            with freezethreads.freeze(where=where):
                pass


def test_what_is_sent_to_it_waits_for_the_thaw(where: Any) -> None:
    here, there = socket.socketpair()
    items: queue.SimpleQueue[int] = queue.SimpleQueue()
    got: list[Any] = []
    receiver = start(lambda: got.append(there.recv(10)))
    getter = start(lambda: got.append(items.get()))
    sleeper = start(sleep_and_tell, got)
    with here, there:
        with freezethreads.freeze(where=where):
            here.send(b"x")
            items.put(1)
            time.sleep(0.05)
            before = list(got)
        for worker in (receiver, getter, sleeper):
            worker.finish()
    assert before in ([], [None])  # the sleep may have been over before the world stood
    assert len(got) == 3


def test_a_thread_in_a_call_is_shown_with_the_program_s_own_line(where: Any) -> None:
    event = threading.Event()
    worker = start(wait_for, event, name="waits")
    blocked = Blocked()
    with freezethreads.freeze(where=where) as world:
        assert world.where == where
        assert site_of(world, "blocked").kind == "call"
        assert site_of(world, "blocked").function == "Blocked._run"
        assert site_of(world, "waits").kind == "call"
        assert site_of(world, "waits").function == "wait_for"
        event.set()
    worker.finish()
    blocked.finish()


def test_a_group_is_its_registered_threads(where: Any) -> None:
    freezer = Freezer()
    load = Load()

    def register_in(group: str) -> Callable[[], None]:
        local = threading.local()

        def step() -> None:
            if not hasattr(local, "registration"):
                local.registration = freezer.register(group=group)
            spin()

        return step

    load.add("inside", register_in("io.disk"))
    load.add("outside", register_in("net"))
    load.add("stranger", spin)
    try:
        with freezer.freeze(where=where, group="io") as world:
            before = dict(load.counts)
            wait_until(lambda: load.counts["outside"] > before["outside"])
            wait_until(lambda: load.counts["stranger"] > before["stranger"])
            assert load.counts["inside"] == before["inside"]
            assert [info.name for info in world.threads] == ["inside"]
        load.goes_on()
    finally:
        load.stop()


def test_a_hold_lets_its_own_thread_go_on(where: Any) -> None:
    with loaded(spin=spin) as load:
        hold = freezethreads.hold(where=where)
        before = dict(load.counts)
        time.sleep(0.005)
        assert load.counts == before
        with freezethreads.freeze(where=where):
            assert load.counts == before
        assert load.counts == before
        hold.thaw()
        load.goes_on()


def test_run_frozen(where: Any) -> None:
    with loaded(spin=spin) as load:

        def look() -> bool:
            before = load.counts["spin"]
            time.sleep(0.005)
            return load.counts["spin"] == before

        assert freezethreads.run_frozen(look, where=where)
        load.goes_on()


def test_a_lease_thaws(where: Any) -> None:
    with loaded(spin=spin) as load:
        world = freezethreads.freeze(where=where, lease=0.05)
        load.goes_on()
        assert world.expired
        with pytest.raises(LeaseExpired), world:
            pass


def test_what_raises_in_the_world_thaws(where: Any) -> None:
    with loaded(spin=spin) as load:
        with pytest.raises(KeyError), freezethreads.freeze(where=where):
            raise KeyError
        load.goes_on()


def test_a_thread_can_be_started_in_the_world_and_stops_at_its_first_line(where: Any) -> None:
    began = threading.Event()
    with freezethreads.freeze(where=where):
        worker = start(began.set)  # which waits until the thread is there
        assert not began.wait(0.02)
    worker.finish()
    assert began.is_set()


def test_a_call_is_made_by_a_thread_that_stands_and_by_no_other(where: Any) -> None:
    freezer, load = Freezer(), Load()
    local = threading.local()

    def step() -> None:
        if not hasattr(local, "registration"):
            local.registration = freezer.register("runs")
        spin()

    load.add("runs", step)
    waits = threading.Lock()
    waits.acquire()
    ready = threading.Event()

    def wait() -> None:
        with freezer.register("waits"):
            ready.set()
            waits.acquire()

    worker = start(wait)
    wait_for(ready)
    try:
        with freezer.freeze(where=where) as world:
            infos = {info.name: info for info in world.threads}
            ident = world.call(infos["runs"], threading.get_ident)
            assert ident == infos["runs"].ident
            with pytest.raises(ThreadBlocked):
                world.call(infos["waits"], threading.get_ident)
        load.goes_on()
    finally:
        waits.release()
        worker.finish()
        load.stop()


def test_the_inner_world_has_to_be_included() -> None:
    with freezethreads.freeze(where="anywhere"):
        with freezethreads.freeze():
            pass
        with pytest.raises(FreezeError, match="does not promise what where='unlocked' does"):
            freezethreads.freeze(where="unlocked")
    unlocked = freezethreads.freeze(where="unlocked")
    with unlocked, freezethreads.freeze(where="anywhere") as inner:
        assert inner.where == "unlocked"
    with freezethreads.freeze(), pytest.raises(FreezeError):
        freezethreads.freeze(where="anywhere")


def test_a_child_of_a_fork_in_the_world_is_free(where: Any) -> None:
    with loaded(spin=spin):
        with freezethreads.freeze(where=where), warnings.catch_warnings():
            if where == "anywhere":  # where a lock may be held: Python's warning is right
                warnings.simplefilter("ignore")
            pid = os.fork()
            if pid == 0:
                recurse()
                freezethreads.safepoint()
                os._exit(0 if nothing_is_left() else 1)
        _, status = os.waitpid(pid, 0)
    assert status == 0


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of:DeprecationWarning")
def test_a_child_that_a_thread_forks_meanwhile_is_free() -> None:
    """The fork is in atomic code, which the freeze waits for: its child has the bar, and nobody who
    takes it down."""
    statuses: list[int] = []

    @freezethreads.atomic
    def fork() -> None:
        pid = os.fork()
        if pid == 0:
            recurse()
            os._exit(0 if nothing_is_left() else 1)
        statuses.append(os.waitpid(pid, 0)[1])

    with loaded(fork=fork) as load:
        for _ in range(10):
            with freezethreads.freeze(where="anywhere"):
                pass
            load.goes_on()
    assert set(statuses) == {0}


AT_THE_END = """
import atexit, threading

def last():
    asked.set()
    answered.wait(10)
    print(*answers)

atexit.register(last)  # before the library's own, so it comes after that
import freezethreads
answers, asked, answered = [], threading.Event(), threading.Event()

def control():
    asked.wait()
    try:
        with freezethreads.freeze(where="anywhere"):
            answers.append("stood")
    except freezethreads.FreezeError as error:
        answers.append(error)
    answered.set()

threading.Thread(target=control, daemon=True).start()
"""


def test_nobody_is_stopped_when_the_interpreter_ends() -> None:
    """The controller, a daemon, would be cut off, and the main thread stand for ever."""
    assert "is about to end: no thread can be stopped" in run_python(AT_THE_END).stdout


def test_a_fork_and_a_switch_of_the_events_wait_for_each_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waited: list[str] = []

    def wait(seconds: float) -> None:
        waited.append("fork" if trap._switching else "switch")
        trap._switching.clear()
        trap._forking.clear()

    monkeypatch.setattr(trap, "sleep", wait)
    trap._switching[0] = None
    trap.before_fork()
    assert waited == ["fork"]
    assert list(trap._forking) == []
    trap.before_fork()
    start(trap._switch).finish()
    assert waited == ["fork", "switch"]
    trap.after_fork_in_parent()


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of:DeprecationWarning")
def test_a_child_that_is_forked_while_the_events_are_switched_goes_on() -> None:
    """Without a GIL it would wait for the lock of whoever switched them."""
    over, children, most = False, [0], 10 if HAS_GIL else 50

    def fork() -> None:
        while not over:
            pid = os.fork()
            if pid == 0:
                os._exit(0)
            children.append(pid)
            os.waitpid(pid, 0)  # of one world after the other each instruction takes long
            children[0] += 1

    worker = start(fork)
    deadline = time.monotonic() + 2 * WAIT
    while children[0] < most and worker.is_alive() and time.monotonic() < deadline:
        with freezethreads.freeze(where="anywhere", timeout=WAIT):
            pass
    over = True
    try:
        worker.finish()
    except BaseException:
        os.kill(children[-1], signal.SIGKILL)
        raise


def test_two_freezers_whose_controllers_stop_each_other(where: Any) -> None:
    freezers = [Freezer("a"), Freezer("b")]
    worlds = {"a": 0, "b": 0}

    def freeze(freezer: Freezer) -> None:
        for _ in range(20):
            with freezer.freeze(where=where, timeout=WAIT):
                before = dict(worlds)
                spin()
                assert worlds == before
                worlds[freezer.name] += 1

    workers = [start(freeze, freezer) for freezer in freezers]
    for worker in workers:
        worker.finish(2 * WAIT)
    assert worlds == {"a": 20, "b": 20}


def test_a_recursion_as_deep_as_it_goes_is_as_deep_as_before(where: Any) -> None:
    """The trap needs room where the program has none left."""
    code = f"""
import sys, threading, freezethreads
def depth(n=0):
    try:
        return depth(n + 1)
    except RecursionError:
        return n
plain = depth()
deepest, over = set(), False
def run():
    while not over:
        deepest.add(depth())
thread = threading.Thread(target=run)
thread.start()
for _ in range(30):
    with freezethreads.freeze(where={where!r}):
        pass
over = True
thread.join()
assert min(deepest) >= plain - 20, (plain, deepest)
"""
    run_python(code)


def test_where_is_checked_before_anything_is_touched() -> None:
    for method in (freezethreads.freeze, freezethreads.hold):
        with pytest.raises(ValueError, match="'safepoint', 'unlocked', 'anywhere'"):
            method(where="everywhere")  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="where must be one of"):
            method(where=3)  # type: ignore[arg-type]


def test_all_ids_of_tools_are_taken() -> None:
    monitoring: Any = sys.monitoring  # type: ignore[attr-defined, unused-ignore]
    mine = [tool for tool in range(6) if monitoring.get_tool(tool) is None]
    for tool in mine:
        monitoring.use_tool_id(tool, f"other {tool}")
    try:
        with pytest.raises(FreezeError, match=r"taken.*other 3.*switch one of these off"):
            freezethreads.freeze(where="anywhere")
    finally:
        for tool in mine:
            monitoring.free_tool_id(tool)
    with freezethreads.freeze(where="anywhere"):
        pass


def test_another_tool_keeps_its_events() -> None:
    monitoring: Any = sys.monitoring  # type: ignore[attr-defined, unused-ignore]
    calls: list[str] = []
    tool = next(tool for tool in range(6) if monitoring.get_tool(tool) is None)
    monitoring.use_tool_id(tool, "another")
    try:
        monitoring.register_callback(
            tool, monitoring.events.PY_START, lambda code, offset: calls.append(code.co_name)
        )
        monitoring.set_events(tool, monitoring.events.PY_START)
        with loaded(spin=spin) as load:
            with freezethreads.freeze(where="anywhere"):
                recurse(1)
            load.goes_on()
        calls.clear()
        recurse(1)
        assert calls[:2] == ["recurse", "recurse"]
    finally:
        monitoring.set_events(tool, 0)
        monitoring.free_tool_id(tool)


def test_freezable_code_is_a_safepoint(where: Any) -> None:
    """Its entry and its loops, for a thread that is asked at its doors."""
    freezer = Freezer()
    go, over = threading.Event(), threading.Event()
    turns = [0]

    @freezer.freezable
    def compute() -> None:
        while not over.is_set():
            turns[0] += 1

    def run() -> None:
        with freezer.register("computes"):
            go.set()
            compute()

    worker = start(run)
    wait_for(go)
    for _ in range(20):
        with freezer.freeze(timeout=WAIT) as world:
            before = list(turns)
            time.sleep(0.001)
            assert turns == before
            assert site_of(world, "computes").kind == "freezable"
        wait_until(lambda before=before: turns > before)  # type: ignore[misc]
    over.set()
    worker.finish()

"""A controller that waits, in its own world, for what it has stopped: somebody says so."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from fork_helpers import forked
from freezethreads import Deadlock, Freezer, World, install
from freezethreads._controller import lookout
from freezethreads._machine.deadlocks import find_deadlocks
from helpers import HAS_GIL, WAIT, start, wait_for, wait_until

needs_gil = pytest.mark.skipif(not HAS_GIL, reason="without a GIL nobody can tell who has a lock")


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Look after a twentieth of a second; and leave nobody on watch."""
    monkeypatch.setattr(lookout, "_PAUSE", 0.02)
    monkeypatch.setattr(lookout, "_PATIENCE", 0.05)
    yield
    wait_until(lambda: not lookout._lookout.is_on)


class Owner:
    """A thread that stands at a safepoint with a lock, and has it until it is let go."""

    def __init__(self, freezer: Freezer, lock: threading.Lock) -> None:
        self.freezer = freezer
        self.lock = lock
        self.has_it = threading.Event()
        self.over = False

    def work(self) -> None:
        with self.freezer.register("owner"), self.lock:
            self.has_it.set()
            while not self.over:
                self.freezer.safepoint()


@contextmanager
def waiting_for_its_own(
    lock: threading.Lock, timeout: float | None = None, lease: float | None = None
) -> Iterator[World]:
    """While entered, a controller waits in its world for a lock whose owner it has stopped."""
    freezer = Freezer("a")
    owner = Owner(freezer, lock)
    worlds: list[World] = []
    wants_it = threading.Event()

    def control() -> None:
        with freezer.freeze(lease=lease) as world:
            worlds.append(world)
            wants_it.set()
            if timeout is not None:
                lock.acquire(timeout=timeout)
            else:
                lock.acquire()
            lock.release()

    thread = start(owner.work)
    wait_for(owner.has_it)
    controller = start(control, name="controller")
    wait_for(wants_it)
    try:
        yield worlds[0]
    finally:
        owner.over = True
        worlds[0].thaw()
        controller.join(WAIT)
        thread.join(WAIT)


@needs_gil
def test_the_log_says_it_with_both_lines(caplog: pytest.LogCaptureFixture) -> None:
    before = len(threading.enumerate())
    with waiting_for_its_own(threading.Lock()):
        wait_until(lambda: bool(caplog.records))
        wait_until(lambda: len(threading.enumerate()) == before + 2)  # and no more
    (record,) = caplog.records
    assert record.threadName == "freezethreads-lookout"
    assert (record.name, record.levelno) == ("freezethreads", logging.WARNING)
    said = record.getMessage()
    assert "is not thawed: its controller waits for what it has stopped" in said
    assert re.search(
        rf"controller waits at {re.escape(__file__)}:\d+ in .*control for <locked ", said
    )
    assert re.search(rf"acquired at {re.escape(__file__)}:\d+ in Owner.work", said)


def looks_noted(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """A list that gets longer with each look."""
    looks: list[object] = []
    worlds = lookout._worlds

    def noted() -> list[object]:
        looks.append(None)
        return list(worlds())

    monkeypatch.setattr(lookout, "_worlds", noted)
    return looks


@needs_gil
def test_a_world_is_told_of_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = looks_noted(monkeypatch)
    with waiting_for_its_own(threading.Lock()):
        wait_until(lambda: bool(caplog.records))
        told = len(looks)
        wait_until(lambda: len(looks) > told + 20)
    assert len(caplog.records) == 1


@needs_gil
def test_who_has_the_lock_of_the_log_is_told_of_elsewhere(
    capfd: pytest.CaptureFixture[str],
) -> None:
    handler = logging.StreamHandler()
    logger = logging.getLogger("freezethreads")
    logger.addHandler(handler)
    try:
        assert handler.lock is not None
        said = ""
        with waiting_for_its_own(handler.lock):  # type: ignore[arg-type]

            def is_said() -> bool:
                nonlocal said
                said += capfd.readouterr().err
                return "\n" in said

            wait_until(is_said)
    finally:
        logger.removeHandler(handler)
    assert said.startswith("freezethreads: <freeze by controller> is not thawed: ")
    assert "waits at" in said


@needs_gil
def test_a_wait_that_ends_by_itself_is_not_told(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[object] = []

    def noted() -> tuple[Deadlock, ...]:
        looks.append(None)
        return find_deadlocks()

    monkeypatch.setattr(lookout, "find_deadlocks", noted)
    with waiting_for_its_own(threading.Lock(), timeout=WAIT):
        wait_until(lambda: len(looks) >= 2)
    assert not caplog.records


def freeze_somebody() -> None:
    """Freeze a thread once, which has ended when this returns."""
    freezer = Freezer("b")
    gate = threading.Event()

    def work() -> None:
        with freezer.register():
            ready.set()
            with freezer.blocking():
                gate.wait()

    ready = threading.Event()
    thread = start(work)
    wait_for(ready)
    with freezer.freeze():
        pass
    gate.set()
    thread.join(WAIT)


@needs_gil
def test_nobody_is_on_watch_when_nobody_freezes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookout, "_PAUSE", WAIT)
    before = threading.enumerate()
    freeze_somebody()
    wait_until(lambda: lookout._lookout.is_on)
    assert threading.enumerate() == before
    monkeypatch.setattr(lookout, "_PAUSE", 0.02)
    lookout._lookout._claim[0].bell.ring()
    wait_until(lambda: not lookout._lookout.is_on)
    freeze_somebody()
    wait_until(lambda: not lookout._lookout.is_on)


@needs_gil
def test_a_world_with_a_lease_is_not_told(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = looks_noted(monkeypatch)
    with waiting_for_its_own(threading.Lock(), lease=WAIT):
        wait_until(lambda: bool(looks) and not lookout._lookout.is_on)
    assert not caplog.records


@needs_gil
def test_there_is_one_however_often_it_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookout, "_PAUSE", WAIT)
    for _ in range(100):
        lookout._lookout.call()
    assert len(lookout._lookout._watches) == 1
    wait_until(lambda: all(watch.native_id for watch in lookout._lookout._watches))
    lookout._lookout.end()
    assert not lookout._lookout._watches


@needs_gil
def test_after_a_fork_a_world_that_stands_is_looked_at_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with waiting_for_its_own(threading.Lock()):
        lookout._lookout.end()
        lookout._lookout.go_on()
        wait_until(lambda: bool(caplog.records))
    assert len(caplog.records) == 1


@needs_gil
def test_at_the_end_of_the_interpreter_there_is_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    own = lookout.Lookout()
    own.call()
    own.end_for_good()
    own.call()
    assert not own.is_on
    assert not own._watches


@pytest.mark.parametrize(("setting", "is_on"), [("0", False), ("", True), ("1", True)])
def test_who_counts_threads_can_do_without_it(setting: str, is_on: bool) -> None:
    program = """
import threading
import freezethreads
from freezethreads._controller.lookout import _lookout
begun, over = threading.Event(), threading.Event()
def wait():
    with freezethreads.register(), freezethreads.blocking():
        begun.set()
        over.wait()
thread = threading.Thread(target=wait)
thread.start()
begun.wait()
with freezethreads.freeze():
    print(_lookout.is_on)
over.set()
thread.join()
"""
    found = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "FREEZETHREADS_LOOKOUT": setting},
        stdout=subprocess.PIPE,
        text=True,
        timeout=WAIT,
        check=True,
    )
    assert found.stdout == f"{is_on and HAS_GIL}\n"


@needs_gil
def test_nobody_enrols_it(monkeypatch: pytest.MonkeyPatch) -> None:
    freezer = Freezer("c")
    monkeypatch.setattr(lookout, "_PAUSE", WAIT)
    with install(freezer):
        freeze_somebody()
        wait_until(lambda: lookout._lookout.is_on)
        assert [info.name for info in freezer.threads()] == []
        lookout._lookout.end()


@pytest.mark.skipif(sys.version_info < (3, 12), reason="it warns from 3.12 on")
def test_a_fork_is_not_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is on watch has gone before, and is there again when somebody freezes."""
    monkeypatch.setattr(lookout, "_PAUSE", WAIT)
    freeze_somebody()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        if pid := os.fork():
            os.waitpid(pid, 0)
        else:
            os._exit(0)
    assert not said


@needs_gil
def test_a_child_has_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookout, "_PAUSE", WAIT)
    freeze_somebody()
    wait_until(lambda: lookout._lookout.is_on)

    def check() -> None:
        assert not lookout._lookout.is_on
        freeze_somebody()
        wait_until(lambda: lookout._lookout.is_on)

    forked(lambda fork: fork(), check)
    assert not lookout._lookout.is_on


@needs_gil
def test_without_a_thread_to_be_had_a_world_is_as_good(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(lookout, "start_new_thread", refuse)
        lookout._lookout.call()
    assert not lookout._lookout.is_on

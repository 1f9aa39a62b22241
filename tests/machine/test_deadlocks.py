"""Who waits for whom: each deadlock is found, and nothing else is taken for one."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import itertools
import json
import math
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeAlias

import pytest

from attach_program import CAN
from control_programs import runtime as runtime
from freezethreads import (
    Deadlock,
    Freezer,
    FreezeTimeout,
    World,
    register_signal,
    sync,
    unregister_signal,
)
from freezethreads._explain import diagnose, look, render, render_diagnosis
from freezethreads._machine import deadlocks
from freezethreads._machine.deadlocks import _Way
from freezethreads._report.deadlocks import (
    A_SIGN_BY,
    ANYBODY,
    FOREIGN,
    NO_THREAD,
    SIGNAL,
    THAW,
    TIME_OUT,
    UNSEEN,
)
from freezethreads._report.ownership import awaited_by
from helpers import HAS_GIL, ROOT, WAIT, Worker, start, wait_for, wait_until
from machine import needs_monitoring

PROGRAM = Path(__file__).parents[1] / "support" / "deadlock_program.py"

OF_BOTH = {
    "probably two_a two_b",
    "probably three_a three_b three_c",
    "probably mixed_a mixed_r",
    "probably condition_a condition_n",
    "probably timed_a timed_b",
    "reentrant_a reentrant_b",
    "import_a import_r",
}
BY_STACK = {
    "probably shared_a shared_b",
    "probably own_a",
    "join_a join_b | join_outside",
    "ended_rlock ended | ended_behind",
    "probably pool_0 pool_1 | poolbehind",
    "probably sign_event",
    "probably sign_queue",
    "probably write_a write_b",
}
# An owner is known, wherever it acquired the lock.
OF_OURS = {"probably elsewhere_a elsewhere_b", "probably ended_lock ended"}


def run(kind: str) -> list[str]:
    result = subprocess.run(
        [sys.executable, str(PROGRAM), kind],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
        env={"PYTHONPATH": str(ROOT)},
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


def test_locks_of_ours() -> None:
    found = {line for line in run("sync") if not line.startswith("#")}
    assert found == OF_BOTH | OF_OURS | (BY_STACK if HAS_GIL else {"ended_rlock ended"})


@pytest.mark.skipif(not HAS_GIL, reason="nobody may read the frames of a thread that runs")
def test_plain_locks() -> None:
    lines = run("plain")
    assert {line for line in lines if not line.startswith("#")} == OF_BOTH | BY_STACK
    head, *edges = [line for line in lines if line.startswith("#")]
    assert head == "# probably a deadlock of 2 threads:"
    line = r"\S+deadlock_program\.py:\d+ in two_locks\.<locals>\."
    for edge in edges:
        wait = rf"#   two_[ab] waits at {line}\w+ for <locked .*>"
        held = rf", held by two_[ab], acquired at {line}two_[ab]"
        assert re.fullmatch(rf"{wait}{held} \(any other thread may release that lock\)", edge)


def told(pid: int, *options: str) -> set[str]:
    """Whom `stuck` calls deadlocked in another process, with status 1."""
    result = subprocess.run(
        [sys.executable, "-m", "freezethreads", "stuck", str(pid), "--json", *options],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert result.returncode == 1, result.stderr
    answer = json.loads(result.stdout)
    found = [*answer["findings"], *answer["warnings"]]
    return {one["thread"] for one in found if one["cause"] == "deadlock"}


def told_by(wanted: set[str], pid: int, *options: str) -> set[str]:
    """The same as soon as it is what is wanted, or after some times: a thread may have yet to make
    the last step, on a busy machine."""
    for _ in range(5):
        found = told(pid, *options)
        if found == wanted:
            break
    return found


def names(lines: Iterable[str]) -> set[str]:
    """Of all threads in what the program would say."""
    return {word for line in lines for word in line.split()} - {"probably", "ended", "|"}


@contextmanager
def unaware(*command: str) -> Iterator[subprocess.Popen[str]]:
    """The program, which knows nothing of this library."""
    with subprocess.Popen(
        [sys.executable, *command, str(PROGRAM), "unaware"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "FREEZETHREADS_CONTROL": "1"},
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


@pytest.mark.usefixtures("runtime")
def test_a_program_that_is_run() -> None:
    # (Without a GIL nobody can tell an owner that has ended from one of ours with its ident.)
    others = OF_OURS | BY_STACK if HAS_GIL else {"elsewhere_a", "elsewhere_b"}
    wanted = names(OF_BOTH | others)
    with unaware("-m", "freezethreads", "run") as process:
        assert told_by(wanted, process.pid, "--timeout", "0.5") == wanted


@pytest.mark.skipif(not HAS_GIL, reason="nobody may read the frames of a thread that runs")
@needs_monitoring
@pytest.mark.usefixtures("runtime")
def test_a_program_that_is_run_unpatched() -> None:
    wanted = names(OF_BOTH | BY_STACK)
    with unaware("-m", "freezethreads", "run", "--unpatched") as process:
        assert told_by(wanted, process.pid, "--timeout", "0.5") == wanted


@pytest.mark.skipif(not CAN, reason="nobody can attach to this Python")
@pytest.mark.usefixtures("runtime")
def test_a_program_that_is_attached_to() -> None:
    wanted = names(OF_BOTH | BY_STACK)
    with unaware() as process:
        assert told_by(wanted, process.pid, "--attach", "--timeout", "0.5") == wanted


class Embrace:
    """Two threads, each of which waits for the other's lock, until the test releases one."""

    def __init__(self, freezer: Freezer) -> None:
        self.left, self.right = sync.Lock(), sync.Lock()
        self._freezer, self._barrier = freezer, threading.Barrier(2)
        self.threads: list[Worker[None]] = [
            start(self._run, self.left, self.right, name="one"),
            start(self._run, self.right, self.left, name="two"),
        ]
        wait_until(lambda: all(awaited_by(thread.ident or 0) for thread in self.threads))

    def _run(self, first: sync.Lock, second: sync.Lock) -> None:
        with self._freezer.register():
            first.acquire()
            self._barrier.wait(WAIT)
            second.acquire()
            second.release()

    def end(self) -> None:
        for lock in (self.left, self.right):
            lock.release()
        for thread in self.threads:
            thread.finish()


def test_stuck_says_it_first_though_all_stop() -> None:
    freezer = Freezer()
    embrace = Embrace(freezer)
    diagnosis = diagnose(freezer, WAIT)
    embrace.end()
    assert not diagnosis.healthy
    assert {(one.thread, one.cause) for one in diagnosis.findings} == {
        ("one", "deadlock"),
        ("two", "deadlock"),
    }
    assert diagnosis.warnings == ()
    text = render_diagnosis(diagnosis)
    assert ": 2 threads caught in a deadlock. 2 threads stopped within " in text
    assert "second.acquire()" in text
    assert ": probably a deadlock of 2 threads." in text


def test_who_is_late_comes_after_it() -> None:
    freezer = Freezer()
    embrace, over, registered = Embrace(freezer), threading.Event(), threading.Event()

    def be_late() -> None:
        with freezer.register("late"):
            registered.set()
            over.wait(6 * WAIT)

    late = start(be_late)
    wait_for(registered)
    diagnosis = diagnose(freezer, 0.5)
    with pytest.raises(FreezeTimeout, match=r"late .*\n  probably a deadlock of 2 threads:\n"):
        freezer.freeze(timeout=0.5)
    described = look(freezer, 0.5)
    embrace.end()
    over.set()
    late.finish()
    assert [one.cause for one in diagnosis.findings][:2] == ["deadlock", "deadlock"]
    assert [one.thread for one in diagnosis.findings][2:] == ["late"]
    assert "1 of 3 threads did not stop" in render_diagnosis(diagnosis)
    assert "  probably a deadlock of 2 threads:\n" in render(described)


def test_two_controllers_that_wait_for_each_others_turn() -> None:
    one, two = Freezer("a"), Freezer("b")
    worlds: list[World] = []
    together = threading.Barrier(2)

    def control(own: Freezer, other: Freezer) -> None:
        with own.freeze() as world:
            worlds.append(world)
            together.wait(WAIT)
            with other.freeze(timeout=WAIT):
                pass

    threads = [start(control, one, two, name="one"), start(control, two, one, name="two")]
    found: list[Deadlock] = []

    def is_found() -> bool:
        found[:] = deadlocks.find_deadlocks()
        return bool(found)

    wait_until(is_found)
    worlds[0].thaw()
    for thread in threads:
        thread.finish()
    (deadlock,) = found
    assert sorted(edge.name for edge in deadlock.edges) == ["one", "two"]
    assert {edge.way_out for edge in deadlock.edges} == {TIME_OUT}
    assert " for the turn after <freeze by " in str(deadlock)


@pytest.mark.skipif(not HAS_GIL, reason="nobody may read the frames of a thread that runs")
def test_a_controller_that_waits_for_what_it_has_frozen() -> None:
    freezer, lock = Freezer(), threading.Lock()
    owned, stands, over = threading.Event(), threading.Event(), threading.Event()

    def own() -> None:
        with freezer.register("owner"), lock, freezer.blocking():
            owned.set()
            over.wait(6 * WAIT)

    def control() -> None:
        with freezer.freeze():
            stands.set()
            lock.acquire()  # which the test releases, and the owner afterwards

    owner = start(own, name="owner")
    wait_for(owned)
    controller = start(control, name="controller")
    wait_for(stands)
    wait_until(lambda: bool(freezer.deadlocks()))
    (found,) = freezer.deadlocks()
    lock.release()
    over.set()
    controller.finish()
    owner.finish()
    assert {edge.name: edge.way_out for edge in found.edges} == {
        "owner": THAW,
        "controller": ANYBODY,
    }
    assert re.search(r"owner waits at .*\.own for the thaw of <.*> \(another", str(found))


def test_no_region_is_advised_to_a_thread_that_has_a_lock() -> None:
    freezer, lock = Freezer(), threading.Lock()
    owned, over = threading.Event(), threading.Event()

    def own() -> None:
        with freezer.register("owner"), lock:
            owned.set()
            over.wait(WAIT)

    owner = start(own)
    wait_for(owned)
    (finding,) = diagnose(freezer, 0.05).findings
    over.set()
    owner.finish()
    assert finding.advice.startswith("Have it release ")
    assert "blocking region is no help" in finding.advice
    assert finding.rewritten is None


def circle(first: int, second: int, key: int = 0) -> dict[int, _Way]:
    """Two threads that wait for each other's thing, of which the first one's is `key`."""
    return {first: _Way("a", key, (second,), None), second: _Way("b", 1, (first,), None)}


Clocks: TypeAlias = dict[int, float | None]


def look_for(
    monkeypatch: pytest.MonkeyPatch,
    looks: Iterable[dict[int, _Way]],
    clocks: Iterable[Clocks] = itertools.repeat({1: 1.0, 2: 1.0}),
) -> tuple[Deadlock, ...]:
    """What is found if this is to be seen, one look after the other."""
    seen, read = iter(looks), iter(clocks)
    monkeypatch.setattr(deadlocks, "_look", lambda able: next(seen))
    monkeypatch.setattr(deadlocks, "_clocks", lambda idents: next(read))
    return deadlocks.find_deadlocks()


@pytest.mark.parametrize("later", [{}, circle(1, 2, key=7), circle(1, 3)])
def test_what_the_second_look_does_not_find_is_none(
    monkeypatch: pytest.MonkeyPatch, later: dict[int, _Way]
) -> None:
    assert look_for(monkeypatch, [circle(1, 2), later]) == ()


def test_who_sleeps_from_one_look_to_the_next_is_certain(monkeypatch: pytest.MonkeyPatch) -> None:
    (found,) = look_for(monkeypatch, [circle(1, 2), circle(1, 2)])
    assert found.certain
    assert [edge.ident for edge in found.edges] == [1, 2]


MOVING: list[Clocks] = [{1: 1.0, 2: 1.0 + n} for n in range(99)]
WANTING: list[Clocks] = [{1: 1.0, 2: math.nan}] * 99


@pytest.mark.parametrize("clocks", [MOVING, WANTING])
def test_who_never_sleeps_is_in_no_deadlock(
    monkeypatch: pytest.MonkeyPatch, clocks: list[Clocks]
) -> None:
    assert look_for(monkeypatch, itertools.repeat(circle(1, 2)), clocks) == ()


def test_who_has_had_a_processor_is_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    clocks = [*MOVING[:4], *[MOVING[4]] * 2]
    (found,) = look_for(monkeypatch, itertools.repeat(circle(1, 2)), clocks)
    assert found.certain


def test_one_that_never_sleeps_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    both = circle(1, 2) | circle(3, 4, key=5)
    clocks: list[Clocks] = [{**each, 3: 1.0, 4: 1.0} for each in MOVING]
    (found,) = look_for(monkeypatch, itertools.repeat(both), clocks)
    assert [edge.ident for edge in found.edges] == [3, 4]


def test_where_there_are_no_clocks_it_is_probable(monkeypatch: pytest.MonkeyPatch) -> None:
    clocks = itertools.repeat({1: 1.0, 2: None})
    (found,) = look_for(monkeypatch, itertools.repeat(circle(1, 2)), clocks)
    assert [edge.way_out for edge in found.edges] == [None, UNSEEN]
    assert str(found).startswith("probably a deadlock of 2 threads:")


@pytest.mark.parametrize(("has_handlers", "way_out"), [(False, None), (True, SIGNAL)])
def test_a_signal_handler_is_a_way_out_for_the_main_thread(
    monkeypatch: pytest.MonkeyPatch, has_handlers: bool, way_out: str | None
) -> None:
    main = threading.main_thread().ident or 0
    monkeypatch.setattr(deadlocks, "_has_handlers", lambda: has_handlers)
    clocks: list[Clocks] = [{1: 1.0, main: 1.0}] * 2
    (found,) = look_for(monkeypatch, [circle(1, main)] * 2, clocks)
    assert [edge.way_out for edge in found.edges] == [None, way_out]
    assert found.certain is not has_handlers


def test_what_counts_as_a_signal_handler(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.signal(signal.SIGUSR1, lambda signum, frame: None)
    assert deadlocks._has_handlers()
    register_signal(signal.SIGUSR1, file=sys.__stderr__)
    try:
        report = signal.getsignal(signal.SIGUSR1)
    finally:
        unregister_signal(signal.SIGUSR1)
        signal.signal(signal.SIGUSR1, before)
    others = [signal.SIG_DFL, signal.SIG_IGN, None, signal.default_int_handler, report]
    monkeypatch.setattr(_signal, "getsignal", dict(enumerate(others, 1)).get)
    assert not deadlocks._has_handlers(), "Ctrl-C does not count, and neither does a report"


def test_who_is_behind_is_told_and_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    ways = circle(1, 2) | {3: _Way("c", 3, (1,), ANYBODY), 4: _Way("d", 4, (3,), None)}
    ways |= {5: _Way("e", 5, (6,), None)}  # for one that waits for nobody
    clocks: list[Clocks] = [dict.fromkeys(range(1, 7), 1.0)] * 2
    (found,) = look_for(monkeypatch, [ways] * 2, clocks)
    assert [edge.ident for edge in found.behind] == [3, 4]
    assert found.certain
    assert "\n  behind it, thread 3 waits for c, held by thread 1 (any other" in str(found)


def test_any_of_several_may_end_a_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits for one of two goes on as soon as one of them does."""
    ways = circle(1, 2) | {3: _Way("c", 3, (1, 4), ANYBODY), 5: _Way("e", 5, (1, 2), ANYBODY)}
    clocks: list[Clocks] = [dict.fromkeys(range(1, 7), 1.0)] * 2
    (found,) = look_for(monkeypatch, [ways] * 2, clocks)
    assert [edge.ident for edge in found.edges] == [1, 2]
    assert [edge.ident for edge in found.behind] == [5]
    assert found.behind[0].owner == "thread 1, thread 2"


def test_all_who_could_end_a_wait_are_in_the_circle(monkeypatch: pytest.MonkeyPatch) -> None:
    sign = f"{A_SIGN_BY}Queue.get"
    every = {i: _Way(sign, 0, tuple({1, 2, 3, 4, 5} - {i}), NO_THREAD) for i in range(1, 6)}
    clocks: list[Clocks] = [dict.fromkeys(every, 1.0)] * 2
    (found,) = look_for(monkeypatch, [every] * 2, clocks)
    assert sorted(edge.ident for edge in found.edges) == [1, 2, 3, 4, 5]
    assert found.edges[0].owner == "thread 2, thread 3, thread 4 or 1 more"
    assert "which could be given by thread 2, " in str(found)
    assert found.kind == "probably a deadlock of 5 threads"


def test_a_circle_that_leads_to_another_is_behind_it(monkeypatch: pytest.MonkeyPatch) -> None:
    ways = circle(1, 2) | {3: _Way("c", 3, (4, 1), None), 4: _Way("d", 4, (3,), None)}
    clocks: list[Clocks] = [dict.fromkeys(ways, 1.0)] * 2
    (found,) = look_for(monkeypatch, [ways] * 2, clocks)
    assert [edge.ident for edge in found.edges] == [1, 2]
    assert [edge.ident for edge in found.behind] == [3, 4]


def test_a_sign_that_nobody_can_give(monkeypatch: pytest.MonkeyPatch) -> None:
    ways = {1: _Way(f"{A_SIGN_BY}Event.wait", 0, (), NO_THREAD)}
    (found,) = look_for(monkeypatch, [ways] * 2, [{1: 1.0}] * 2)
    assert found.kind == "probably a wait for a sign that nobody can give"
    assert not found.owner_ended
    assert "which could be given by nobody (code" in str(found)


@pytest.mark.skipif(not HAS_GIL, reason="nobody may read the frames of a thread that runs")
def test_who_may_give_a_sign_is_listed_once_for_all_who_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(deadlocks, "_knows_all", partial(bool, True))
    monkeypatch.setattr(deadlocks, "_has_handlers", partial(bool, False))  # not those of pytest
    event = threading.Event()
    waiters = [start(event.wait) for _ in range(3)]
    idents = {waiter.ident or 0 for waiter in waiters}
    wait_until(lambda: idents <= deadlocks._look().keys())
    ways = deadlocks._look()
    event.set()
    for waiter in waiters:
        waiter.finish()
    assert len({id(ways[ident].to) for ident in idents}) == 1


def test_nobody_waits_for_a_sign_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    ways = {1: _Way(f"{A_SIGN_BY}Event.wait", 0, (1,), NO_THREAD)}
    (found,) = look_for(monkeypatch, [ways] * 2, [{1: 1.0}] * 2)
    assert "which could be given by nobody (code" in str(found)


def test_an_owner_that_a_thread_outside_python_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    lock = threading.RLock()
    owner = start(lock.acquire)
    owner.finish()
    look = deadlocks._Look({}, {}, {1}, {})
    for knows_all, way_out in [(True, None), (False, FOREIGN)]:
        monkeypatch.setattr(deadlocks, "_knows_all", partial(bool, knows_all))
        way = deadlocks._way_to_lock(1, lock, True, None, look)
        assert way is not None
        assert (way.to, way.way_out) == ((), way_out)


def test_a_plain_lock_that_two_seem_to_have_belongs_to_nobody() -> None:
    assert deadlocks._owner_of(threading.Lock(), [1, 2]) == (None, False)
    assert deadlocks._owner_of(threading.Lock(), [1]) == (1, False)

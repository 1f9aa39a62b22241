"""The kernel's cgroup v2 freezer selftests: one group, and what a held one does not forget.

Stopped between two bytecodes, no thread can leave the region or the wait in which it was frozen; so
it cannot end there, nor unregister instead of stopping. A bomb is always in a section: of the
semaphore that its threads release at their end.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from fork_helpers import state_of
from freezethreads import Freezer, Hold, State, World
from freezethreads._ground.arguments import Where
from freezing import Loops, actor, at_bell, looping, puppet
from helpers import WAIT, Worker, start, wait_for, wait_until
from machine import ANYWHERE, needs_monitoring
from peers import bombs, cgroup
from peers.looking import (
    check_still,
    freezer_of,
    frozen_groups,
    groups_of,
    stands,
    witness,
)


@pytest.fixture
def freezer(where: Where) -> Freezer:
    return freezer_of("cgroup", where)


@pytest.fixture
def others() -> Iterator[Loops]:
    with witness() as loops:
        yield loops


def test_simple(where: Where) -> None:
    """test_cgfreezer_simple: 100 looping processes. A hold parks all of them, a thaw none."""
    cgroup.simple(5, where)


@pytest.mark.parametrize("where", ["safepoint", ANYWHERE])
def test_forkbomb(where: Where) -> None:
    """test_cgfreezer_forkbomb: a hold of a thread bomb ends, and nobody is born out of it."""
    bombs.fork_bomb(12, 40, where)


def test_mkdir(freezer: Freezer, others: Loops) -> None:
    """test_cgfreezer_mkdir: a new group below a held one is held, and its parent stays so."""
    ran = threading.Event()

    def enter() -> None:
        with freezer.register(group="a.new.one"):
            ran.set()

    with looping(freezer, 2, "a") as parent:
        with freezer.hold(group="a", timeout=WAIT):
            child = start(enter)
            wait_until(lambda: frozen_groups(freezer) == ["a", "a", "a.new.one"])
            check_still(parent, others)
            assert not ran.is_set(), "it got to its first line"
        child.finish()
        parent.progress()


def exit_held(freezer: Freezer) -> Hold:
    """The last thread of a held group ends where it waits."""
    inside, over = threading.Event(), threading.Event()

    def end_in_region() -> None:
        freezer.register(group="a")
        freezer.blocking().__enter__()
        inside.set()
        wait_for(over)

    thread = start(end_in_region)
    wait_for(inside)
    hold = freezer.hold(group="a", timeout=WAIT)
    assert frozen_groups(freezer) == ["a"]
    over.set()
    thread.finish()
    return hold


def unregister_held(freezer: Freezer) -> Hold:
    """The last thread unregisters. It has held its own group, so that it has yet to stop."""
    with puppet(freezer, "a") as thread:
        hold = thread.do(freezer.hold, group="a", timeout=WAIT)
        thread.do(freezer.unregister)
    return hold


def unregister_awaited(freezer: Freezer) -> Hold:
    """It unregisters instead of stopping, when the hold waits for nobody else."""
    asked = threading.Event()
    with puppet(freezer, "a", waker=asked.set) as thread, actor() as holder:
        holding = holder.tell(freezer.hold, group="a", timeout=WAIT)
        wait_for(asked)
        thread.do(freezer.unregister)
        return holding.result(WAIT)


@pytest.mark.parametrize(
    ("where", "leave"),
    [
        ("safepoint", exit_held),
        ("safepoint", unregister_held),
        ("safepoint", unregister_awaited),
        pytest.param("unlocked", unregister_held, marks=needs_monitoring),
        pytest.param("anywhere", unregister_held, marks=needs_monitoring),
    ],
)
def test_rmdir(freezer: Freezer, others: Loops, leave: Callable[[Freezer], Hold]) -> None:
    """test_cgfreezer_rmdir: a held group that loses its last thread holds the next one as well."""
    ran = threading.Event()

    def enter() -> None:
        with freezer.register(group="a"):
            ran.set()

    with leave(freezer) as hold:
        assert hold.threads == freezer.threads() == ()
        later = start(enter)
        wait_until(lambda: frozen_groups(freezer) == ["a"])
        for _ in range(3):
            others.progress()
        assert not ran.is_set()
    later.finish()
    assert not freezer.armed


def look_at_stack(freezer: Freezer, thread: Worker[None]) -> None:
    """From outside, as a profiler does."""
    assert "_loop" in str(freezer.threads()[0].stack())
    assert thread.ident in sys._current_frames()


def call_in_thread(freezer: Freezer, thread: Worker[None]) -> None:
    """From inside: a world within the hold has the thread look at itself."""
    with freezer.freeze(timeout=WAIT) as world:
        wait_until(lambda: stands(freezer, thread))
        seen = world.call(thread, lambda: (threading.get_ident(), state_of(freezer, thread)))
        assert seen == (thread.ident, State.FROZEN)
        assert state_of(freezer, thread) is State.FROZEN


@pytest.mark.parametrize("look", [look_at_stack, call_in_thread])
def test_ptrace(
    freezer: Freezer, others: Loops, look: Callable[[Freezer, Worker[None]], None]
) -> None:
    """test_cgfreezer_ptrace: to look at a frozen thread leaves its group frozen, also after."""
    with looping(freezer, 1, "a") as loops:
        with freezer.hold(group="a", timeout=WAIT):
            before = list(loops.counts)
            look(freezer, loops.threads[0])
            assert frozen_groups(freezer) == ["a"]
            check_still(loops, others)
            assert loops.counts == before
        loops.progress()


@pytest.mark.parametrize("kind", ["freeze", "hold"])
def test_stopped(freezer: Freezer, kind: str) -> None:
    """test_cgfreezer_stopped: who is stopped by its own means can be frozen, and stays stopped."""
    go_on = threading.Event()
    with puppet(freezer, "a") as thread:
        stopped = thread.block(go_on)
        frozen: World | Hold = getattr(freezer, kind)(group="a", timeout=WAIT)
        assert frozen_groups(freezer) == ["a"]
        frozen.thaw()
        assert groups_of(freezer, State.BLOCKED) == ["a"]
        assert not stopped.done()
        go_on.set()
        stopped.result(WAIT)


@pytest.mark.parametrize("first", ["ours", "theirs"])
@pytest.mark.parametrize("kind", ["freeze", "hold"])
def test_ptraced(
    freezer: Freezer, others: Loops, monkeypatch: pytest.MonkeyPatch, kind: str, first: str
) -> None:
    """test_cgfreezer_ptraced: our hold and thaw leave what another holder has stopped stopped."""
    with looping(freezer, 2, "a.b") as loops, actor() as tracer:
        ours: World | Hold
        if first == "ours":
            ours = getattr(freezer, kind)(group="a", timeout=WAIT)
        theirs = tracer.do(freezer.hold, group="a.b", timeout=WAIT, reason="traced")
        if first == "theirs":
            ours = getattr(freezer, kind)(group="a", timeout=WAIT)
        came_round = [at_bell(monkeypatch, thread) for thread in loops.threads]
        ours.thaw()
        if first == "ours":  # they wake, and stop again
            for event in came_round:
                wait_for(event)
        assert frozen_groups(freezer) == ["a.b", "a.b"]
        check_still(loops, others)
        tracer.do(theirs.thaw)
        loops.progress()

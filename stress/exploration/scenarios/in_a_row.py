"""Two exceptions: one, and another as that is handled, at every two such places."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from freezethreads import sync
from stress.exploration._interruption import Interruption
from stress.exploration._stage import Gate, Stage, scenario

in_a_row = partial(scenario, interruptions=2)


def try_on(stage: Stage, act: Callable[[], object]) -> None:
    """Do it until no exception comes. Of those that come one at least has to arrive here."""
    arrived = 0
    done = False
    while not done:
        try:
            act()
            done = True
        except Interruption:
            arrived += 1
        stage.pause()
    stage.close_sites()
    sites = stage.run.sites
    if sites is not None and sites.reached and not arrived:
        stage.find("an exception was lost")


def add_member(
    stage: Stage, act: Callable[[Gate], object], in_world: Callable[[], object] = lambda: None
) -> None:
    """Add T, which works before and after each try, and C, which freezes it, and does that
    meanwhile. Before it freezes it opens the gate that is given to T."""
    begins = stage.gate()

    def work_and_act() -> None:
        stage.work("T")
        act(begins)

    def worker() -> None:
        try_on(stage, work_and_act)
        stage.work("T")

    def controller() -> None:
        begins.open()
        with stage.freeze("T"):
            in_world()

    stage.member("T", worker)
    stage.actor("C", controller)


@in_a_row("a thread that is parked goes on after the thaw, and not before", target="T")
def park_and_exceptions(stage: Stage) -> None:
    def visit(begins: Gate) -> None:
        begins.wait()
        stage.freezer.safepoint()

    add_member(stage, visit)


@in_a_row("a region counts as long as its thread is in it, and its end is barred", target="T")
def region_and_exceptions(stage: Stage) -> None:
    def block(begins: Gate) -> None:
        with stage.freezer.blocking("io"):
            begins.wait()

    add_member(stage, block)


@in_a_row("a wait counts as long as its thread is in it, and its end is barred", target="T")
def wait_and_exceptions(stage: Stage) -> None:
    event = sync.Event()
    add_member(stage, lambda _: event.wait(), event.set)


@in_a_row("a controller lets everybody go, and nothing stays armed", target="C")
def freeze_and_exceptions(stage: Stage) -> None:
    stands = False

    def freeze() -> None:
        nonlocal stands
        with stage.freezer.freeze(timeout=None):
            stands = True
            stage.pause()
            stands = False

    def worker() -> None:
        for _ in range(2):
            stage.freezer.safepoint()
            stage.work("T")
            if stands:
                stage.find("T runs the application's code while a world stands over it")

    stage.actor("C", lambda: try_on(stage, freeze))
    stage.member("T", worker)


@in_a_row("a lock is free after the block over it, and whoever waits gets it", target="T")
def lock_and_exceptions(stage: Stage) -> None:
    _acquire_and_wait(stage, sync.Lock())


@in_a_row(
    "a re-entrant lock is free after the block over it, and whoever waits gets it", target="T"
)
def rlock_and_exceptions(stage: Stage) -> None:
    _acquire_and_wait(stage, sync.RLock())


def _acquire_and_wait(stage: Stage, lock: sync.Lock | sync.RLock) -> None:
    def acquire() -> None:
        with lock:
            stage.pause()

    def wait() -> None:
        with lock:
            stage.run.wait(lambda: stage.waits("T"))
        with lock:
            stage.leave()

    stage.actor("X", wait)
    stage.member("T", lambda: try_on(stage, acquire))

"""A registered thread that has a world stops for nobody, since it alone can let the others go."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager

import pytest

from freezethreads import Freezer, FreezeTimeout, Hold, State, World, sync
from freezethreads._controller.controller import Controller
from freezing import Pause, Puppet, actor, at_bell, before, puppet, puppets
from helpers import WAIT, wait_for


class Scene:
    """Two registered threads: `holder` waits until `commander` stops, and is frozen by that one."""

    def __init__(self, freezer: Freezer, commander: Puppet, holder: Puppet) -> None:
        self.freezer = freezer
        self.commander = commander
        self.holder = holder
        self.holding: Future[Hold]
        self.world: World

    def begin(self, patch: pytest.MonkeyPatch) -> None:
        """
        1. The holder has its turn to ask for a hold, and has not asked yet.
        2. The commander asks for a world, and waits for the holder.
        3. The holder asks, and counts as stopped while it waits for the commander.
        """
        pause = Pause(self.holder.worker)
        before(patch, Controller, "_arm", pause)
        self.holding = self.holder.tell(self.freezer.hold, group="commander", timeout=None)
        pause.wait()
        waits = at_bell(patch, self.commander.worker)
        freezing = self.commander.tell(self.freezer.freeze, group="holder", timeout=None)
        wait_for(waits)
        pause.go()
        self.world = freezing.result(WAIT)

    @property
    def is_awaited(self) -> bool:
        """Whether the hold waits for the commander."""
        return any(self.commander.record in one.awaited for one in self.freezer._registry.active)

    def end(self) -> None:
        """After the commander's thaw it is the other way about."""
        assert self.is_awaited
        self.commander.do(self.world.thaw)
        passed = self.commander.tell(self.freezer.safepoint)
        hold = self.holding.result(WAIT)
        assert self.commander.record.state is State.FROZEN
        assert not passed.done()
        self.holder.do(hold.thaw)
        passed.result(WAIT)


@contextmanager
def scene(freezer: Freezer) -> Iterator[Scene]:
    with puppets(freezer, "commander", "holder") as (commander, holder):
        yield Scene(freezer, commander, holder)


@pytest.fixture
def freezer() -> Freezer:
    return Freezer()


def test_its_safepoints_do_not_stop_it(freezer: Freezer, monkeypatch: pytest.MonkeyPatch) -> None:
    """If it stopped there, the hold would stand, by a thread that is frozen and cannot thaw it."""
    with scene(freezer) as both:
        both.begin(monkeypatch)
        both.commander.do(freezer.safepoint)
        both.end()


def test_its_regions_do_not_count_as_stopped(
    freezer: Freezer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the hold finds it there, or it goes there when it is awaited."""
    with scene(freezer) as both:
        both.begin(monkeypatch)
        over = threading.Event()
        region = both.commander.block(over)
        with actor() as other:
            waits = at_bell(monkeypatch, other.worker)
            second = other.tell(freezer.hold, group="commander", timeout=None)
            wait_for(waits)
            assert both.commander.record.state is State.BLOCKED
            over.set()
            region.result(WAIT)
            both.commander.do(both.world.thaw)
            passed = both.commander.tell(freezer.safepoint)
            for holding, thread in (second, other), (both.holding, both.holder):
                thread.do(holding.result(WAIT).thaw)
            passed.result(WAIT)


def test_its_freezable_waits_do_not_stop_it(
    freezer: Freezer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scene(freezer) as both:
        both.begin(monkeypatch)
        event = sync.Event()
        waits = at_bell(monkeypatch, both.commander.worker)
        waiting = both.commander.tell(event.wait, WAIT)
        wait_for(waits)
        event.set()
        assert waiting.result(WAIT)
        both.end()


def test_it_counts_as_stopped_where_it_is_when_somebody_else_thaws(
    freezer: Freezer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A controller that hangs in a region, and whose lease runs out, keeps no other from a hold."""
    with scene(freezer) as both:
        both.begin(monkeypatch)
        over = threading.Event()
        region = both.commander.block(over)
        assert both.is_awaited
        both.world.thaw()
        hold = both.holding.result(WAIT)
        over.set()
        assert both.commander.record.state is State.FROZEN
        assert not region.done()
        both.holder.do(hold.thaw)
        region.result(WAIT)


def test_who_waits_for_it_too_long_is_told(freezer: Freezer) -> None:
    with puppet(freezer) as commander, actor() as other:
        world = commander.do(freezer.freeze, group="nobody")
        with pytest.raises(FreezeTimeout, match="a world of its own"):
            other.do(freezer.hold, timeout=0.01)
        commander.do(world.thaw)

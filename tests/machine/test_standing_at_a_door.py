"""What a thread executes that stands at a door, while threads are stopped between two bytecodes."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from freezethreads import Freezer
from freezethreads._machine import trap
from freezethreads._refrigerator import refrigerator
from freezing import actor, puppets
from helpers import WAIT, wait_until
from machine import needs_monitoring

pytestmark = needs_monitoring


def collected() -> int:
    """Code of the program, as if the collector called it just before a thread waits for a thaw."""
    return threading.get_ident()


def bars() -> list[Any]:
    return list(trap.bars)


@pytest.fixture(autouse=True)
def _collects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refrigerator, "get_ident", collected)


def test_a_thread_that_stands_once_more_in_the_middle_goes_on(where: Any) -> None:
    freezer, on = Freezer(), threading.Event()
    with puppets(freezer, "a.held", "a.other") as (held, _), actor() as controller:
        passing = held.pass_safepoints(on)
        hold = freezer.hold(group="a.held", timeout=WAIT)
        world = controller.do(freezer.freeze, group="a", where=where, timeout=WAIT)
        hold.thaw()
        wait_until(lambda: held.record.ident in trap.inside())
        on.set()
        controller.do(world.thaw)
        passing.result(WAIT)


def test_so_it_does_while_others_have_yet_to_stop() -> None:
    freezer, over, on = Freezer(), threading.Event(), threading.Event()
    with puppets(freezer, "a.held", "a.busy") as (held, busy), actor() as controller:
        passing = held.pass_safepoints(on)
        hold = freezer.hold(group="a.held", timeout=WAIT)
        going = busy.wait_in(freezer.no_freeze(), over)
        frozen = controller.tell(freezer.freeze, group="a", where="anywhere", timeout=2 * WAIT)
        wait_until(lambda: any(held.record.ident in bar.stopped for bar in bars()))
        hold.thaw()
        wait_until(lambda: held.record.ident in trap.inside())
        on.set()
        over.set()
        controller.do(frozen.result(2 * WAIT).thaw)
        passing.result(WAIT)
        going.result(WAIT)

"""Worlds of one freezer never overlap, wherever the controller stands when it asks for one."""

from __future__ import annotations

import pytest

from freezethreads import Freezer, _controller
from freezing import Pause, actor, before, puppet
from helpers import WAIT


def test_a_hold_does_not_take_the_turn_of_a_controller_within_a_region(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    1. A registered controller in a blocking region of its own gets its turn.
    2. Before it arms, another thread holds it; it counts as stopped.
    3. A third thread wants a world. It must not have one before the controller has thawed.
    """
    freezer = Freezer()
    pause = Pause()
    with puppet(freezer, "c") as controller, actor() as holder, actor() as third:
        region = freezer.blocking()
        controller.do(region.__enter__)
        before(monkeypatch, _controller.Controller, "_arm", pause)
        mine = controller.tell(freezer.freeze, group="nobody")
        pause.wait()
        holder.do(freezer.hold, group="c", timeout=0).thaw()
        other = third.tell(freezer.freeze, group="nobody", timeout=0)
        assert isinstance(other.exception(WAIT), TimeoutError)
        pause.go()
        controller.do(mine.result(WAIT).thaw)
        third.do(third.do(freezer.freeze, group="nobody", timeout=0).thaw)
        controller.do(region.__exit__, None, None, None)

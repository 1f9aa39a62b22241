"""The oracle, after liburcu's rcutorture: short runs, and that it can say no.

What its threads keep whole is whole at safepoints, and seen broken between any two bytecodes.
"""

from __future__ import annotations

import pytest

from freezethreads._controller.controller import Controller
from freezethreads._ground.deadline import Deadline
from freezethreads._ground.original import monotonic
from freezethreads._registry.requests import Freeze
from peers import oracle


@pytest.mark.parametrize("seed", [1, 2])
def test_what_threads_keep_whole_is_never_seen_broken(
    seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """rcutorture: readers never see what was freed. Here nobody sees what is half done."""
    verdict = oracle.run(seed, threads=4, freezes=100)
    assert verdict.success, verdict
    assert verdict.freezes == 100
    assert verdict.in_the_midst, "too easy"
    assert min(verdict.units) > 0, "somebody starved"
    assert f"seed={seed} SUCCESS" in capsys.readouterr().out


def test_it_notices_that_threads_are_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A freeze that returns before all stand is found out."""

    def return_at_once(_: Controller, freeze: Freeze, deadline: Deadline) -> None:
        freeze.stood_at = monotonic()

    monkeypatch.setattr(Controller, "_wait", return_at_once)
    verdict = oracle.run(1, threads=4, freezes=100)
    assert verdict.torn
    assert "FAILURE" in str(verdict)

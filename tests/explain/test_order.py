"""In which order a diagnosis tells what it has found, and that it repeats no advice."""

from __future__ import annotations

import pytest

from freezethreads import Deadlock, Edge, Freezer
from freezethreads._explain import _diagnosis, diagnose, render_diagnosis
from freezethreads._explain._causes import Cause
from freezethreads._explain._diagnosis import finding_of
from helpers import WAIT


def deadlock_for(awaited: str) -> Deadlock:
    """Two threads, each of which waits for the other one."""
    edges = [Edge(name, at, awaited, "other", None, None, None) for at, name in enumerate("ab", 1)]
    return Deadlock(tuple(edges), (), False)


@pytest.mark.parametrize(
    ("awaited", "order"),
    [
        ("a sign by way of Queue.get of <queue>", ["ended", "deadlock", "deadlock"]),
        ("<locked lock>", ["deadlock", "deadlock", "ended"]),
    ],
)
def test_who_was_ended_comes_before_those_who_wait_for_a_sign(
    monkeypatch: pytest.MonkeyPatch, awaited: str, order: list[str]
) -> None:
    ended = finding_of(Cause.ENDED, None, why="it raised.", advice="Mend it.", thread="producer")
    monkeypatch.setattr(_diagnosis, "find_deadlocks", lambda reach: (deadlock_for(awaited),))
    monkeypatch.setattr(_diagnosis, "_ended", lambda: iter([ended]))
    diagnosis = diagnose(Freezer(), WAIT)
    assert [finding.cause for finding in diagnosis.findings] == order
    advice = {finding.advice for finding in diagnosis.findings}
    text = render_diagnosis(diagnosis)
    assert [text.count(one) for one in advice] == [1, 1]

"""Torture for freezers, and for programs that have one.

A scenario says what is tortured, who does it, and what has to hold whenever all threads stand::

    from freezethreads.testing import Role, Scenario, Violation, torture

    class Pair(Scenario):
        \"\"\"Two counters that agree at each safepoint.\"\"\"

        def setup(self):
            self.pairs = [[0, 0] for _ in range(self.threads)]

        def actors(self):
            return [Role(self.count, self.threads)]

        def count(self, actor):
            pair = self.pairs[int(actor.number)]
            while not actor.over:
                pair[0] += 1
                pair[1] += 1
                self.freezer.safepoint()
                actor.step()

        def invariant(self, world):
            for one, other in self.pairs:
                if one != other:
                    raise Violation(f"{one} is not {other}")

    def test_pair():
        result = torture(Pair, seconds=1.0)
        assert result.passed, result

`torture` runs it in this process. ``python -m stress --load file.py``, in a checkout, runs it in
one of its own, which may be killed, and shows more.

The plugin of pytest is ``freezethreads.testing.pytest_plugin``. Nothing else here knows pytest.
"""

from __future__ import annotations

from collections.abc import Callable

from freezethreads._ground.arguments import check_callable
from freezethreads._ground.exports import export as _export
from freezethreads.testing._actor import Actor
from freezethreads.testing._events import LANES, Event, RecordingFreezer, Ring, Rings
from freezethreads.testing._freezes import Standing, Timeline
from freezethreads.testing._plan import Plan, new_seed
from freezethreads.testing._result import Finding, Result
from freezethreads.testing._run import Run
from freezethreads.testing._scenario import Role, Scenario, Violation
from freezethreads.testing._watchdog import Progress

__all__ = [
    "LANES",
    "Actor",
    "Event",
    "Finding",
    "Plan",
    "Progress",
    "RecordingFreezer",
    "Result",
    "Ring",
    "Rings",
    "Role",
    "Run",
    "Scenario",
    "Standing",
    "Timeline",
    "Violation",
    "new_seed",
    "torture",
]

_export(__name__)


def torture(
    scenario: type[Scenario],
    *,
    seconds: float = 1.0,
    threads: int = 8,
    seed: str | None = None,
    freeze_timeout: float = 5.0,
    patience: float = 10.0,
    switch_interval: float | None = None,
    on_progress: Callable[[Progress], object] | None = None,
) -> Result:
    """Run one scenario in this process for so many seconds, and return what came of it.

    The arguments are those of `Plan`, durations in seconds; a `seed` of None is a new one.
    `on_progress` is called a few times a second, from another thread (None: nobody is told). From
    any thread, which plays the main role if there is one; from the main thread Ctrl-C ends the run.
    Threads that hang are left behind, as daemons; the result names them, as it has all that the
    scenario raises. Raises TypeError or ValueError for a wrong argument, before anything was
    started.
    """
    if not (isinstance(scenario, type) and issubclass(scenario, Scenario)):
        raise TypeError(f"scenario must be a subclass of Scenario, not {scenario!r}")
    if on_progress is not None:
        check_callable("on_progress", on_progress)
    plan = Plan(seed or new_seed(), seconds, threads, freeze_timeout, patience, switch_interval)
    return Run(scenario, plan).execute(on_progress)

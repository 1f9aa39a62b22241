"""The watchdog of a run: it ends the run in time, and finds out who hangs.

It waits for nobody for ever. Time in which it did not get to run itself, on a machine that is busy
or asleep, does not count against the threads it looks at.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING

from freezethreads._ground.original import OwnThread

if TYPE_CHECKING:
    from freezethreads.testing._actor import Actor
    from freezethreads.testing._result import Result
    from freezethreads.testing._run import Run

TICK = 0.05
"""Seconds between two looks."""
LONGEST_TICK = 0.5
"""Seconds that one look counts as at most."""
PROGRESS_EVERY = 0.25
"""Seconds between two reports of progress."""
GRACE = 1.0
"""Seconds that the actors have to return when something was found; else the run's patience."""


@dataclass(frozen=True)
class Progress:
    """How far a run is. ``left`` is in seconds; ``states`` counts the registered threads."""

    scenario: str
    left: float
    freezes: int
    checks: int
    steps: int
    states: dict[str, int]


class Watchdog:
    """Looks at one run, in a thread of its own, from its beginning to its end."""

    def __init__(
        self,
        run: Run,
        on_progress: Callable[[Progress], object] | None,
        on_hang: Callable[[Result], object] | None,
    ) -> None:
        self._run = run
        self._on_progress = on_progress
        self._on_hang = on_hang
        self._looked = monotonic()
        self._told = 0.0
        self._steps: dict[Actor, int] = {}
        self._idle: dict[Actor, float] = {}
        self._done = threading.Event()
        # One of the library's own, which no world lists as not covered.
        self._thread = OwnThread(target=self._watch, name="freezethreads-watchdog", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def wait(self) -> None:
        """Wait until all actors have returned, or hang. By the main thread, say: Ctrl-C ends it."""
        while not self._done.is_set():
            try:
                self._done.wait()
            except KeyboardInterrupt:
                self._run.interrupt()

    def _watch(self) -> None:
        run = self._run
        try:
            left = run.plan.seconds
            while (left > 0 or self._is_unfair(left)) and run.actors and not run.over:
                self._look_for_hanging(self._tick())
                left = run.result.began + run.plan.seconds - monotonic()
                self._tell(left)
            run.over = True
            self._wait_for_all()
        except BaseException as error:  # noqa: BLE001 - the run must not go on unwatched
            run.fail("the watchdog", error)
        self._done.set()
        if run.result.hung and self._on_hang is not None:
            self._on_hang(run.conclude())

    def _is_unfair(self, left: float) -> bool:
        """Whether the time was too short on a busy machine for each thread to do anything.

        Half of the run's patience is what they get then.
        """
        steps = (actor.steps or actor.role.idle for actor in self._run.roster)
        return left > -self._run.plan.patience / 2 and not all(steps)

    def _tick(self) -> float:
        """Wait for the next look; return how many seconds it counts as."""
        self._done.wait(TICK)
        before, self._looked = self._looked, monotonic()
        return min(self._looked - before, LONGEST_TICK)

    def _tell(self, left: float) -> None:
        if self._on_progress is not None and self._looked - self._told >= PROGRESS_EVERY:
            self._told = self._looked
            self._on_progress(self._run.progress(max(left, 0.0)))

    def _look_for_hanging(self, seconds: float) -> None:
        run = self._run
        for actor in run.roster:
            steps = actor.steps
            idle = self._idle.get(actor, 0.0) + seconds
            if actor not in run.actors or actor.role.idle or steps != self._steps.get(actor):
                idle = 0.0
            self._steps[actor], self._idle[actor] = steps, idle
            if idle > run.plan.patience:
                run.fail(actor.name, f"no step for {idle:.1f} s: it hangs, or is starved")

    def _wait_for_all(self) -> None:
        run, waited = self._run, 0.0
        while run.actors:
            if waited > (GRACE if run.result.findings else run.plan.patience):
                run.result.hung = [actor.name for actor in list(run.actors)]
                names = ", ".join(run.result.hung)
                run.fail("the end", f"not returned {waited:.1f} s after the end: {names}")
                return
            waited += self._tick()
            self._tell(0.0)

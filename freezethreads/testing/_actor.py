"""An actor: one thread of a scenario, with its own choices, its own counts and its own events."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from freezethreads import World, sync
from freezethreads._ground.arguments import Where
from freezethreads.testing._scenario import Role

if TYPE_CHECKING:
    from freezethreads.testing._run import Run

LONGEST_PAUSE = 0.25
"""Seconds; random pauses are cut to this, so that every actor soon sees that the run is over."""


class Actor:
    """What a role is played with. Used by its own thread only, unless it says otherwise.

    ``random`` is where all of the thread's choices come from: the same seed gives the same ones.
    ``steps``, ``checks`` and ``timeouts`` count its steps, the invariants that it has checked and
    the freezes that it gave up. ``thread`` is its thread, for todos to it. ``name`` is its role's
    and its ``number``; the number of an actor that another one has spawned begins with that
    one's: ``"3.1"``.
    """

    def __init__(self, run: Run, role: Role, number: str) -> None:
        self.role = role
        self.number = number
        self.name: str = f"{getattr(role.play, '__name__', 'actor')}-{number}"
        self.random: random.Random = run.plan.random_of(run.scenario.name, number)
        self.steps = 0
        self.checks = 0
        self.timeouts = 0
        self.ended = False
        self.thread: threading.Thread = threading.current_thread()
        self._run = run
        self._spawned = 0

    def __repr__(self) -> str:
        return f"<Actor {self.name}, {self.steps} steps{', ended' if self.ended else ''}>"

    @property
    def over(self) -> bool:
        """Whether the run is over: return then, with everything in order."""
        return self._run.over

    def step(self) -> None:
        """Count one piece of work that is done.

        Only while the thread is running, not in a blocking region: a frozen thread that makes a
        step is a violation, and so is one that makes none for the run's patience.
        """
        self.steps += 1

    def note(self, kind: str, detail: str = "") -> None:
        """Add an event to the thread's ring, which is printed if something goes wrong."""
        self._run.rings.own().note(kind, detail)

    def pause(self, mean: float) -> None:
        """Sleep for a random time, `mean` seconds on average, freezably if registered."""
        sync.sleep(min(self.random.expovariate(1 / mean), LONGEST_PAUSE))

    def freeze(
        self,
        *,
        timeout: float | None = None,
        group: str | Sequence[str] = "",
        reason: str = "",
        lease: float | None = None,
        where: Where | None = None,
        settled: str | Iterable[str] = (),
        hooks: bool = True,
    ) -> AbstractContextManager[World]:
        """Freeze with the scenario's freezer, look whether all stand still, and note how it was.

        Arguments as for `Freezer.freeze`, but a `timeout` of None is the run's. Raises what that
        raises, and `Violation` if a thread that is to stand is not frozen, or makes a step. The
        thaw comes at the end of the block, or by the lease, and not before.
        """
        seconds = self._run.plan.freeze_timeout if timeout is None else timeout
        return self._run.freezes.freeze(
            self,
            timeout=seconds,
            group=group,
            reason=reason,
            lease=lease,
            where=where,
            settled=settled,
            hooks=hooks,
        )

    def check(self, world: World) -> None:
        """Check the scenario's invariant in a world. Raises `Violation`."""
        self._run.scenario.invariant(world)
        self.checks += 1

    def spawn(
        self, play: Callable[[Actor], object], *, group: str = "", registered: bool = True
    ) -> Actor:
        """Start another actor, which may end at any time. The run waits for it, too, at its end."""
        self._spawned += 1
        role = Role(play, group=group, registered=registered, idle=True)
        actor = Actor(self._run, role, f"{self.number}.{self._spawned}")
        self._run.start(actor)
        return actor

"""Freezes back to back, which may starve nobody."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from freezethreads import World
from freezethreads.testing import Actor, Role, Scenario, Violation

LONG = 50
"""Numbers that are added between two safepoints at most."""
PATIENT = 4
"""Times a freeze's usual time-out: on a busy machine all have to compute before they stop."""


class Fairness(Scenario):
    """Two controllers that freeze without a pause; each thread gets to its next safepoint.

    So whoever stood at a safepoint has made a step when all stand again, also if it did not wake
    before that freeze was asked for.
    """

    controllers: ClassVar[int] = 2

    def setup(self) -> None:
        self.seen: dict[Actor, int] = {}
        self.workers: list[Actor] = []

    def actors(self) -> Iterable[Role]:
        return [Role(self.work, max(2, self.threads // 2))]  # which never wait

    def work(self, actor: Actor) -> None:
        self.workers.append(actor)
        while not actor.over:
            sum(range(actor.random.randrange(LONG)))
            self.freezer.safepoint("after some work")
            actor.step()

    def control(self, actor: Actor) -> None:
        with actor.freeze(timeout=PATIENT * self.freeze_timeout) as world:
            actor.check(world)
        actor.step()

    def invariant(self, world: World) -> None:
        standing = {info.ident for info in world.threads if info.site and info.site.label}
        starved = [
            actor.name
            for actor in self.workers
            if actor.thread.ident in standing and actor.steps == self.seen.get(actor)
        ]
        if starved:
            raise Violation(f"these have not run since they stood last: {', '.join(starved)}")
        self.seen = {actor: actor.steps for actor in self.workers if actor.thread.ident in standing}

"""Holds and worlds that overlap, over threads that compute without a pause."""

from __future__ import annotations

from collections.abc import Iterable

from freezethreads import World
from freezethreads.testing import Actor, Role, Scenario, Violation

WORKERS = 6
HOLDERS = 2
PATIENT = 6
"""Times a freeze's usual time-out: all have to compute before they stop."""
LONG = 30
"""Turns of a loop between the two halves of a change, at most."""
RESTS = 0.5
"""How often one that holds lets a moment pass before it does so again."""


class Overlaps(Scenario):
    """Six threads move one unit back and forth between accounts of their own; they never wait.

    Two others hold them and let them go without end, while one freezes. So a thaw nearly always
    meets another one, or a freeze that is being asked for. Whoever has stopped them sees no unit
    on its way, and nobody moves until the thaw. Those that hold rest now and then: as long as each
    thaw finds another hold that stands, nobody has to be let go at all.
    """

    controllers = 1

    def setup(self) -> None:
        self.mine = [1] * WORKERS
        self.yours = [0] * WORKERS
        self.moves = [0] * WORKERS
        self.patient = PATIENT * self.freeze_timeout

    def actors(self) -> Iterable[Role]:
        return [Role(self.move, WORKERS), Role(self.hold, HOLDERS, registered=False)]

    def move(self, actor: Actor) -> None:
        number, mine, yours = int(actor.number), self.mine, self.yours
        safepoint = self.freezer.safepoint
        while not actor.over:
            mine[number] -= 1
            for _ in range(actor.random.randrange(LONG)):
                pass
            yours[number] += 1
            mine, yours = yours, mine
            self.moves[number] += 1
            safepoint("at rest")
            actor.step()

    def hold(self, actor: Actor) -> None:
        while not actor.over:
            with self.freezer.hold(timeout=self.patient):
                self.look(actor)
            actor.step()
            if actor.random.random() < RESTS:
                actor.pause(self.stand)

    def control(self, actor: Actor) -> None:
        with actor.freeze(timeout=self.patient) as world:
            actor.check(world)
            self.look(actor)
        actor.step()

    def look(self, actor: Actor) -> None:
        """See twice that all is in order; who should stand has time to move meanwhile."""
        before = list(self.moves)
        self.check()
        actor.pause(self.stand)
        self.check()
        if self.moves != before:
            raise Violation(f"{actor.name} has stopped all, but some have moved: {self.moves}")

    def check(self) -> None:
        totals = [mine + yours for mine, yours in zip(self.mine, self.yours, strict=True)]
        if totals != [1] * WORKERS:
            raise Violation(f"units are on their way between accounts: {totals}")

    def invariant(self, world: World) -> None:
        self.check()

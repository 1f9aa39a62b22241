"""Known states: groups in order, kinds of unfinished business, hooks in phases, and forks."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from freezethreads import World
from freezethreads.testing import Actor, Role, Violation
from stress.scenarios.forks import STEP_EVERY, Forks

ORDER = ("make", "change", "")
PHASES = (-1, 0, 2)


class Quiesce(Forks):
    """Each world is what it was asked to be, whoever asks for something else meanwhile.

    Makers hand jobs to those who finish them, and others change pairs in two steps with a safepoint
    in between. A freeze of the groups in order that is to find jobs and changes settled finds
    none; one that is not told so says in `World.pending` whose pair it has caught in the middle.
    In each world all hooks were called, by phase, and they are undone before anybody runs. A
    child that is forked there has the world's data, and nothing that is unfinished.
    """

    def setup(self) -> None:
        super().setup()
        self.jobs: deque[int] = deque()
        self.unfinished = self.freezer.outstanding("job")
        self.made: dict[str, int] = {}
        self.finished: dict[str, int] = {}
        self.called: list[float] = []
        self.settled = 0
        for phase in (2, -1, 0):
            self.add_hook(phase)

    def add_hook(self, phase: float) -> None:
        def before() -> None:
            if self.called and self.called[-1] > phase:
                raise Violation(f"phase {phase} was called after {self.called[-1]}")
            self.called.append(phase)

        def after() -> None:
            if self.called.pop() != phase:
                raise Violation(f"phase {phase} was undone, and is not the last one")

        self.freezer.hook(before, after, phase=phase)

    def actors(self) -> Iterable[Role]:
        each = max(1, self.threads // 3)
        return [
            Role(self.make, each, group="make"),
            Role(self.finish, each, group="finish"),
            Role(self.change, each, group="change"),
            Role(self.hold, registered=False),
            Role(self.forker, main=True),
            Role(self.forker),
        ]

    def make(self, actor: Actor) -> None:
        self.made[actor.name] = 0
        while not actor.over:
            self.unfinished.add()
            self.made[actor.name] += 1
            self.jobs.append(self.made[actor.name])
            self.freezer.safepoint("made one")
            actor.pause(STEP_EVERY * self.threads)
            actor.step()

    def finish(self, actor: Actor) -> None:
        self.finished[actor.name] = 0
        while self.unfinished.count or not actor.over:
            try:
                self.jobs.popleft()
            except IndexError:
                pass
            else:
                self.freezer.safepoint("with a job in hand")
                self.finished[actor.name] += 1
                self.unfinished.done()
            self.freezer.safepoint("between two jobs")
            actor.pause(STEP_EVERY)
            actor.step()

    def change(self, actor: Actor) -> None:
        pair = self.pairs[actor.name] = [0, 0]
        while not actor.over:
            with self.freezer.pending("tx"):
                pair[0] += 1
                self.freezer.safepoint("in the middle")
                pair[1] += 1
            self.freezer.safepoint("changed")
            actor.pause(STEP_EVERY * self.threads)
            actor.step()

    def hold(self, actor: Actor) -> None:
        """Stop some for a while, in an order of its own."""
        while not actor.over:
            groups = actor.random.sample(["make", "finish", "change"], 2)
            with self.freezer.hold(group=groups, timeout=self.freeze_timeout):
                actor.pause(self.stand)
            actor.pause(self.pause)
            actor.step()

    def forker(self, actor: Actor) -> None:
        self.fork_in_turn(actor, [self.fork_settled, self.fork_settled, self.fork])

    def fork_settled(self, actor: Actor) -> int:
        with actor.freeze(group=ORDER, settled=("job", "tx")) as world:
            actor.check(world)
            pid = self.fork(actor)
            if pid == 0:
                self.invariant(world)
            return pid

    def check_child(self, actor: Actor) -> None:
        if self.unfinished.count:
            raise Violation(f"in the child {self.unfinished.count} jobs are outstanding")
        self.called.clear()  # what was called is undone by the parent
        super().check_child(actor)
        if self.called:
            raise Violation(f"in the child the phases {self.called} were not undone")

    def control(self, actor: Actor) -> None:
        actor.pause(self.pause)
        actor.random.choice([self.settle, self.settle, self.catch])(actor)
        actor.step()

    def settle(self, actor: Actor) -> None:
        with actor.freeze(group=ORDER, settled=("job", "tx")) as world:
            actor.check(world)
            actor.pause(self.stand)
            self.settled += 1

    def catch(self, actor: Actor) -> None:
        """Find somebody in the middle, and be told of it."""
        with actor.freeze() as world:
            self.check_hooks()
            told = {pending.thread.name for pending in world.pending}
            torn = {name for name, (one, other) in list(self.pairs.items()) if one != other}
            if not torn <= told:
                raise Violation(f"{torn - told} stand in the middle, and nobody says so")

    def check_hooks(self) -> None:
        if tuple(self.called) != PHASES:
            raise Violation(f"what was called when all stood are the phases {self.called}")

    def invariant(self, world: World) -> None:
        super().invariant(world)
        self.check_hooks()
        made, finished = sum(self.made.values()), sum(self.finished.values())
        if self.jobs or self.unfinished.count or made != finished or world.pending:
            raise Violation(
                f"{made} jobs were made and {finished} finished, {len(self.jobs)} are queued, and "
                f"{self.unfinished.count} outstanding; pending are {world.pending}"
            )

    def teardown(self) -> None:
        if self.called or not self.settled:
            raise Violation(f"{self.settled} worlds were settled, and {self.called} not undone")

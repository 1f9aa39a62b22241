"""Todos without end, for threads that run, wait, stand and go."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from freezethreads import World, sync
from freezethreads.testing import Actor, Role, Scenario, Violation
from stress._tasks import ANSWER, Asked, Target, Tasks

AHEAD = 16
"""Todos that an asker has under way."""


class Todos(Scenario):
    """Many ask many for todos, some of whom end, while all are frozen again and again.

    A todo is made once, by its thread, where that is in order: after those of its priority that the
    same asker has asked of it before, and after all of a higher priority that were there with it.
    Or it was cancelled, or its thread has exited. None is made by a frozen thread, but those that
    the world calls. A todo breaks and mends its thread's pair, so who stands in one is found.
    """

    def setup(self) -> None:
        self.tasks = Tasks(self.freezer)
        self.posted: list[Asked] = []  # in the last world
        self.late: deque[Asked] = deque()  # of threads that were about to end

    def actors(self) -> Iterable[Role]:
        each = max(1, self.threads // 3)
        return [
            Role(self.obey, each),
            Role(self.ask, each, registered=False),
            Role(self.breed, 1 + each // 8, registered=False),
        ]

    def obey(self, actor: Actor) -> None:
        target = self.tasks.enlist(actor)
        while not actor.over:
            self.visit(actor, target)
            actor.step()
        del self.tasks.targets[actor.name]

    def visit(self, actor: Actor, target: Target) -> None:
        """Work, and pass one of the doors."""
        target.change(actor.random)
        door = actor.random.randrange(4)
        if door == 0:
            self.freezer.safepoint("between pairs")
        elif door == 1:
            with self.freezer.blocking("todos are made at its end"):
                pass
        elif door == 2:
            sync.sleep(0)
        else:
            actor.pause(0.0002)

    def breed(self, actor: Actor) -> None:
        while not actor.over:
            actor.spawn(self.live, registered=False).thread.join(ANSWER)
            while late := self.take_late():
                self.tasks.settle(*late)
            actor.step()

    def take_late(self) -> Asked | None:
        try:
            return self.late.popleft()
        except IndexError:
            return None

    def live(self, actor: Actor) -> None:
        """Obey for a short time, and end, with or without a word."""
        own = self.freezer.register(actor.name)
        target = self.tasks.enlist(actor)
        for _ in range(actor.random.randrange(5)):
            self.visit(actor, target)
        del self.tasks.targets[actor.name]
        self.late.extend(self.tasks.post(actor, target))  # of itself: too late
        if actor.random.random() < 0.5:
            with own:
                pass

    def ask(self, actor: Actor) -> None:
        asked: deque[Asked] = deque()
        while not actor.over:
            for target in self.tasks.some_target(actor):
                asked.extend(self.tasks.post(actor, target))
            if asked and actor.random.random() < 0.1:
                task, future = asked[-1]
                task.void = task.void or future.cancel()
            if len(asked) > AHEAD or (asked and actor.random.random() < 0.2):
                self.tasks.settle(*asked.popleft())
            actor.step()
        for each in asked:
            self.tasks.settle(*each)

    def control(self, actor: Actor) -> None:
        tasks = self.tasks
        for each in self.posted:
            tasks.settle(*each)
        actor.pause(self.pause)
        with actor.freeze() as world:
            actor.check(world)
            self.posted = []
            for target in tasks.some_target(actor):
                self.posted += tasks.batch(actor, target)
                tasks.call(world, target)
            actor.pause(self.stand)
            if any(task.made for task, _ in self.posted):
                raise Violation("a frozen thread made a todo")
            actor.check(world)
        actor.step()

    def invariant(self, world: World) -> None:
        self.tasks.check()
        for target in list(self.tasks.targets.values()):
            target.check()

    def teardown(self) -> None:
        self.tasks.check()

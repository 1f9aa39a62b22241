"""Hooks in phases, which come and go, raise, and are undone by whoever thaws."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterable

from freezethreads import Hook, HookFailed, World
from freezethreads.testing import Actor, Role, Scenario, Violation

REST = 0.0005
"""Seconds between two steps of the workers, all together."""
PAUSE = 0.00005
"""Seconds that it takes to undo a hook."""
PHASES = (-1, 0, 0, 1, 2.5)
FAILS = 0.1
"""How often a freeze is ended by a `before`."""


class Failure(Exception):
    """What a hook of this scenario raises."""


class Hooks(Scenario):
    """Each `before` that has returned is undone once, in reverse, while all stand.

    Five hooks stay and others come and go; one raises now and then, before or after. Worlds do not
    overlap, so what is called belongs to one of them at a time: it is kept on a pile. Whoever is
    undone has to be on its top, nobody may have made a step since the first was called, and the
    next world has to find it empty. Worlds end by their block, by an exception, or by
    another thread that thaws at the same time.
    """

    def setup(self) -> None:
        self.workers: list[Actor] = []
        self.pile: list[tuple[float, object]] = []
        self.steps: list[tuple[Actor, int]] = []
        self.undone = 0
        self.thaws: queue.SimpleQueue[World] = queue.SimpleQueue()
        self.failing = ""
        self.freezer.hook(self.begin, phase=float("-inf"), name="the first")
        for phase in PHASES:
            self.add(phase)
        self.freezer.hook(self.fail_before, self.fail_after, phase=1, name="the one that raises")

    def actors(self) -> Iterable[Role]:
        return [
            Role(self.work, self.threads, group="workers"),
            Role(self.change, registered=False),
            Role(self.thaw, registered=False),
        ]

    def work(self, actor: Actor) -> None:
        self.workers.append(actor)
        while not actor.over:
            self.freezer.safepoint("worked")
            actor.pause(REST * self.threads)
            actor.step()

    def change(self, actor: Actor) -> None:
        """Add a hook for a while."""
        while not actor.over:
            with self.add(actor.random.choice(PHASES)):
                actor.pause(self.stand)
            actor.step()

    def thaw(self, actor: Actor) -> None:
        """Thaw what others have stopped, while they do."""
        while not actor.over:
            try:
                world = self.thaws.get(timeout=0.01)
            except queue.Empty:
                pass
            else:
                self.tolerate(world.thaw)
                del world
            actor.step()

    def control(self, actor: Actor) -> None:
        actor.pause(self.pause)
        if actor.random.random() < FAILS:
            self.failing = actor.random.choice(["before", "after"])
        way = actor.random.choice([self.leave, self.share, self.fail_inside])
        self.tolerate(lambda: way(actor))
        actor.step()

    def leave(self, actor: Actor) -> None:
        with actor.freeze(group="workers") as world:
            actor.check(world)

    def share(self, actor: Actor) -> None:
        """Have another thread thaw as well, while this one leaves the block or is still in it."""
        world = self.freezer.freeze(group="workers", timeout=self.freeze_timeout)
        with world:
            actor.check(world)
            self.thaws.put(world)

    def fail_inside(self, actor: Actor) -> None:
        with self.freezer.freeze(group="workers", timeout=self.freeze_timeout) as world:
            actor.check(world)
            time.sleep(actor.random.expovariate(1 / self.stand))
            raise Failure

    def tolerate(self, call: Callable[[], object]) -> None:
        """Make a call which hooks may end."""
        try:
            call()
        except Failure:
            pass
        except HookFailed as error:
            if not isinstance(error.__cause__, Failure):
                raise
        except ExceptionGroup as group:
            if not all(isinstance(error, Failure) for error in group.exceptions):
                raise

    # The hooks.

    def add(self, phase: float) -> Hook:
        key = object()
        return self.freezer.hook(
            lambda: self.enter(phase, key), lambda: self.undo(phase, key), phase=phase
        )

    def begin(self) -> None:
        """Before all others, in each world."""
        if self.pile:
            raise Violation(f"{len(self.pile)} hooks of the world before were not undone")
        self.steps = [(worker, worker.steps) for worker in list(self.workers)]

    def enter(self, phase: float, key: object) -> None:
        if self.pile and self.pile[-1][0] > phase:
            raise Violation(f"phase {phase} was called after {self.pile[-1][0]}")
        self.pile.append((phase, key))

    def undo(self, phase: float, key: object) -> None:
        if not self.pile or self.pile[-1][1] is not key:
            raise Violation(f"a hook of phase {phase} is undone, and another one is to be")
        if any(worker.steps != steps for worker, steps in self.steps):
            raise Violation("a thread has made a step before all hooks were undone")
        time.sleep(PAUSE)  # for another one that thaws, which must not undo meanwhile
        if self.pile.pop()[1] is not key:
            raise Violation(f"two threads undo at once: a hook of phase {phase} was overtaken")
        self.undone += 1

    def fail_before(self) -> None:
        self.fail("before")

    def fail_after(self) -> None:
        self.fail("after")

    def fail(self, which: str) -> None:
        if self.failing == which:
            self.failing = ""
            raise Failure

    def invariant(self, world: World) -> None:
        phases = [phase for phase, _ in self.pile]
        if len(phases) < len(PHASES) or phases != sorted(phases):
            raise Violation(f"what was called when all stood are the phases {phases}")

    def teardown(self) -> None:
        if self.pile or not self.undone:
            raise Violation(f"{len(self.pile)} hooks were not undone, {self.undone} were")

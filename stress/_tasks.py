"""Todos that know who has to make them, and in which order."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from concurrent.futures import CancelledError, Future
from typing import TypeAlias

from freezethreads import Freezer, NotRegistered, ThreadBlocked, ThreadExited, World
from freezethreads.testing import Actor, Violation
from stress._pair import Pair

ANSWER = 60.0
"""Seconds in which a todo is made or refused."""


class Target(Pair):
    """A thread that makes todos. It is listed for as long as it is sure to make them."""

    def __init__(self, actor: Actor) -> None:
        super().__init__(actor.name)
        self.actor = actor
        self.lines: dict[tuple[str, int], Line] = {}


class Line:
    """Todos that one thread has to make in the order of their numbers."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.last = -1


class Task:
    """One todo of a line. `void` when it is sure not to be made any more."""

    def __init__(self, line: Line, number: int) -> None:
        self.line = line
        self.number = number
        self.made = False
        self.void = False


Asked: TypeAlias = tuple[Task, Future[None]]


class Tasks:
    """The todos of one scenario. Whoever makes one that it must not make leaves a fault."""

    def __init__(self, freezer: Freezer) -> None:
        self._freezer = freezer
        self._own = threading.local()
        self._faults: deque[str] = deque(maxlen=10)
        self.targets: dict[str, Target] = {}

    def enlist(self, actor: Actor) -> Target:
        """From now on the calling thread makes todos, until it takes itself off `targets`."""
        target = self._own.target = self.targets[actor.name] = Target(actor)
        return target

    def check(self) -> None:
        """Raise `Violation` if there was a fault."""
        if self._faults:
            raise Violation(self._faults[0])

    def some_target(self, actor: Actor) -> list[Target]:
        """One, or none if there is none."""
        return actor.random.sample(targets := list(self.targets.values()), min(1, len(targets)))

    def post(self, actor: Actor, target: Target) -> Iterable[Asked]:
        """One todo, if the thread is there still."""
        priority = actor.random.randrange(3)
        line = target.lines.setdefault((actor.name, priority), Line(target))
        task = Task(line, actor.steps)
        try:
            future = self._freezer.todo(target.actor.thread, self._make, task, priority=priority)
            yield task, future
        except (NotRegistered, ThreadExited):
            task.void = True

    def batch(self, actor: Actor, target: Target) -> Iterable[Asked]:
        """Todos of several priorities for a frozen thread, which finds them all at once."""
        line = Line(target)
        priorities = [actor.random.randrange(3) for _ in range(6)]
        order = sorted(range(6), key=lambda index: -priorities[index])
        for index, priority in enumerate(priorities):
            task = Task(line, order.index(index))
            thread = target.actor.thread
            yield task, self._freezer.todo(thread, self._make, task, priority=priority)

    def _make(self, task: Task) -> None:
        """The todo itself. Its faults must not get lost in a future."""
        line, target = task.line, task.line.target
        if getattr(self._own, "target", None) is not target:
            self._faults.append(f"a todo for {target.who} was made by another thread")
        elif task.void or task.number <= line.last:
            self._faults.append(f"{target.who} made todo {task.number} after {line.last}")
        elif target.left != target.right:
            self._faults.append(f"{target.who} made a todo where it had not said that it may")
        else:
            line.last = task.number
            target.change(target.actor.random)
        task.made = True

    def settle(self, task: Task, future: Future[None]) -> None:
        """Wait for one todo, and see what has become of it."""
        target = task.line.target
        try:
            future.result(ANSWER)
        except CancelledError:
            task.void = True
        except ThreadExited:
            task.void = True
            if self.targets.get(target.who) is target:
                raise Violation(f"{target.who} has exited, it is said; but it is there") from None
        if task.made == task.void:
            raise Violation(f"a todo for {target.who} was refused, and made; or neither")

    def call(self, world: World, target: Target) -> None:
        """Have a frozen thread make one now, if it can."""
        task = Task(Line(target), 0)
        try:
            world.call(target.actor.thread, self._make, task)
        except ThreadBlocked:
            task.void = True
        if task.made == task.void:
            raise Violation(f"a call in {target.who} was refused, and made; or neither")

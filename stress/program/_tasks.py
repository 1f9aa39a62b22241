"""What threads ask of each other: todos and calls, and what may become of them."""

from __future__ import annotations

from concurrent.futures import Future
from threading import get_ident, local
from typing import TYPE_CHECKING, Any

from freezethreads import ThreadExited
from freezethreads.testing import Violation

if TYPE_CHECKING:
    from stress.program._player import Player


class _Here(local):
    player: Player | None = None


here = _Here()


class Task:
    """One function that one thread is to call once, or never. Returns itself.

    Of two with the same `order`, which is not empty, the one that was asked first is made first.
    `world` is the number of the freezer whose world calls it, or None for a todo.
    """

    def __init__(
        self, target: Player, order: tuple[object, ...] = (), world: int | None = None
    ) -> None:
        self.target = target
        self.order = order
        self.future: Future[Any] | None = None
        self.cancelled = False
        self._world = world
        self._made_by: list[int] = []

    def __call__(self) -> Task:
        self._made_by.append(get_ident())
        player = here.player
        if player is not self.target:
            raise Violation(f"{player and player.name} makes what was asked of {self.target.name}")
        player.made.append(self)
        player.step(self._world)
        return self

    def check_refused(self) -> None:
        """Nobody has made it, or is going to."""
        if self._made_by:
            raise Violation(f"a task of {self.target.name} was refused, and made all the same")

    def check_made(self, result: object) -> None:
        """Its thread has made it, once, and that is the result."""
        if result is not self or self._made_by != [self.target.thread.ident]:
            raise Violation(
                f"a task of {self.target.name} was made by {self._made_by}, with {result!r}"
            )

    def check(self, patience: float) -> None:
        """At the end, when its thread is no more."""
        if self.future is None:
            return self.check_refused()
        if self.cancelled or self.future.cancelled():
            return self.check_refused()
        try:
            result = self.future.result(patience)
        except ThreadExited:
            return self.check_refused()
        except TimeoutError:
            raise Violation(f"a todo of {self.target.name} has come to no end") from None
        self.check_made(result)


class ForAll:
    """One function that several threads are to call once each. Returns the caller's ident."""

    def __init__(self) -> None:
        self.futures: list[Future[int]] = []
        self._made_by: list[int] = []

    def __call__(self) -> int:
        self._made_by.append(get_ident())
        player = here.player
        if player is not None:
            player.step()
        return get_ident()

    def check(self, patience: float) -> None:
        """At the end, when all threads are no more."""
        idents = []
        for future in self.futures:
            try:
                idents.append(future.result(patience))
            except ThreadExited:
                pass
            except TimeoutError:
                raise Violation("a todo for all has come to no end") from None
        if sorted(idents) != sorted(self._made_by) or len(set(idents)) != len(idents):
            raise Violation(f"a todo for all was made by {self._made_by}, and they say {idents}")


def check_order(asked: list[Task], made: list[Task]) -> None:
    """What one thread has asked is made in that order, by each that it was asked of."""
    numbers = {task: number for number, task in enumerate(asked) if task.order}
    last: dict[tuple[object, ...], int] = {}
    for task in made:
        number = numbers.get(task)
        if number is None:
            continue
        if number < last.get(task.order, -1):
            raise Violation(f"{task.target.name} made a todo before an older one")
        last[task.order] = number

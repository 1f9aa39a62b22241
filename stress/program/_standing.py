"""A world or a hold, and what has to be so until it is thawed."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Thread
from time import monotonic, sleep
from typing import TYPE_CHECKING

from freezethreads import State, World
from freezethreads._ground.arguments import covers
from freezethreads.testing import Violation

if TYPE_CHECKING:
    from freezethreads import Hold
    from stress.program._player import Player
    from stress.program._stage import Stage
    from stress.program._tasks import Task

LOOK_EVERY = 0.0005
"""Seconds, for what there is no event of."""


class Steps:
    """The steps of one thread that count for one freezer. They are equal whenever it may stop."""

    __slots__ = ("begun", "done")

    def __init__(self) -> None:
        self.begun = 0
        self.done = 0


class Standing:
    """What one thread has stopped. `ended` goes up before anybody thaws it, and for good."""

    def __init__(
        self,
        stage: Stage,
        owner: Player,
        stopped: World | Hold,
        freezer: int,
        group: str,
        lease: bool,
    ) -> None:
        self.owner = owner
        self.stopped = stopped
        self.freezer = freezer
        self.group = group
        self.lease = lease
        self.may_expire = lease
        self.ended = False
        self.since = monotonic()
        self._stage = stage
        self._before = self._read()
        self._check_members()

    def __repr__(self) -> str:
        return f"the {type(self.stopped).__name__.lower()} of {self.group!r} by {self.owner.name}"

    @property
    def is_hold(self) -> bool:
        """Whether nobody else is going to thaw it."""
        return not isinstance(self.stopped, World)

    @property
    def is_over(self) -> bool:
        """Whether it need not stand any more."""
        return self.ended or self.stopped.expired

    def look(self) -> None:
        """Nobody whom it covers has made a step, or is in the middle of one. By any thread."""
        now = self._read()
        if self.is_over:
            return
        for player, (group, begun, done), after in zip(
            self._others, self._before, now, strict=True
        ):
            if group is not None and begun != done:
                raise Violation(f"{player.name} stands in the middle of a step, in {self!r}")
            if group is not None and after != (group, begun, done):
                raise Violation(f"{player.name} has made a step in {self!r}")
            if group is None and after[0] is not None:
                raise Violation(f"{player.name} has come into group {after[0]!r} in {self!r}")

    def end(self) -> None:
        """Look once more, and thaw. By any thread; may be repeated."""
        self.look()
        self.ended = True
        self.stopped.thaw()

    def call(self, thread: Thread, task: Task) -> object:
        """Have a frozen thread make it. By the owner of a world."""
        assert isinstance(self.stopped, World)
        return self.stopped.call(thread, task)

    def wait_for_lease(self, patience: float) -> None:
        """Wait until the lease has run out, which it does."""
        give_up = monotonic() + patience
        while not self.is_over:
            if monotonic() > give_up:
                raise Violation(f"the lease of {self!r} does not run out")
            sleep(LOOK_EVERY)

    @property
    def _others(self) -> Sequence[Player]:
        return [player for player in self._stage.players if player is not self.owner]

    def _read(self) -> list[tuple[str | None, int, int]]:
        """Of each other thread: its group, if that is covered, and its steps."""
        seen: list[tuple[str | None, int, int]] = []
        for player in self._others:
            group = player.groups[self.freezer]
            steps = player.steps[self.freezer]
            if group is None or not covers(self.group, group):
                seen.append((None, 0, 0))
            else:
                seen.append((group, steps.begun, steps.done))
        return seen

    def _check_members(self) -> None:
        """All whom it covers are on its list, and frozen."""
        infos = {info.ident: info.state for info in self.stopped.threads}
        meant = [
            player
            for player, (group, *_) in zip(self._others, self._before, strict=True)
            if group is not None
        ]
        if self.is_over:
            return
        for player in meant:
            state = infos.get(player.thread.ident or 0)
            if state is not State.FROZEN:
                raise Violation(f"{player.name} is {state and state.name} in {self!r}")

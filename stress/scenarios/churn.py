"""Threads that come, move and go while others are being frozen."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext

from freezethreads import Freezer, NotRegistered, Registration, State, World
from freezethreads._ground.arguments import covers
from freezethreads.testing import Actor, Role, Scenario, Violation
from stress._pair import Pair

GROUPS = ("", "a", "a.b", "a.b.c", "d")
BROOD = 4


class Mayfly(Pair):
    """A short-lived thread's pair. `group` is where it was last; None: outside, or on its way."""

    __slots__ = ("group",)

    def __init__(self, who: str) -> None:
        super().__init__(who)
        self.group: str | None = None


class Drifter(Pair):
    """The pair of a thread that others move. `moves` is counted up before a move and after it."""

    __slots__ = ("moves", "own")

    def __init__(self, who: str, own: Registration) -> None:
        super().__init__(who)
        self.own = own
        self.moves = 0


class Churn(Scenario):
    """Threads register, move between groups, are moved by others, and end in every way there is,
    all during freezes.

    Each breaks its pair in its first line after `register()` and `move()`, and in its last before
    it ends. So a newcomer that does not wait for the thaw, or one that moves into a frozen group
    and goes on, is seen; one that has ended and is waited for makes a freeze time out; and one that
    is still listed when all have ended was forgotten. One that was moved may run until its next
    safepoint, but not while it is said to be frozen.
    """

    stand = 0.001  # time for newcomers to be there too early

    def setup(self) -> None:
        self.mayflies: dict[str, Mayfly] = {}
        self.frozen = ""
        self.elsewhere = Freezer("elsewhere")
        self.drifters: dict[str, Drifter] = {}

    def actors(self) -> Iterable[Role]:
        inside = self.threads // 2
        return [
            Role(self.breed, 1 + inside // 8, registered=False),
            Role(self.breed, inside // 8),
            Role(self.roam, max(1, inside // 4), registered=False),
            Role(self.drift, max(1, inside // 4), registered=False),
            Role(self.shove, registered=False),
            Role(self.watch_drifters, registered=False),
        ]

    def breed(self, actor: Actor) -> None:
        """Keep some mayflies alive; by an outsider also while all others stand."""
        children: list[Actor] = []
        while not actor.over:
            children = [child for child in children if child.thread.is_alive()]
            if len(children) < BROOD:
                children.append(actor.spawn(self.live, registered=False))
                actor.step()
            actor.pause(0.0005)
        with self.freezer.blocking("waiting for the children"):
            for child in children:
                child.thread.join(10)

    def live(self, actor: Actor) -> None:
        """Register, do something, and end; sometimes once more."""
        mayfly = self.mayflies[actor.name] = Mayfly(actor.name)
        for _ in range(actor.random.randrange(1, 3)):
            with self.freezer.register(actor.name, group=actor.random.choice(GROUPS)) as own:
                mayfly.group = own.group
                self.work(actor, mayfly)
                mayfly.group = None
        if actor.random.random() < 0.6:
            self.die_inside(actor, mayfly)
        del self.mayflies[actor.name]

    def die_inside(self, actor: Actor, mayfly: Mayfly) -> None:
        """End without a word: running, or in a region that it will never leave."""
        own = self.freezer.register(actor.name, group=actor.random.choice(GROUPS))
        mayfly.group = own.group
        self.work(actor, mayfly)
        mayfly.group = None
        regions: list[Callable[[], AbstractContextManager[None]]] = [
            nullcontext,
            self.freezer.no_freeze,
            lambda: self.freezer.blocking("to the end"),
        ]
        actor.random.choice(regions)().__enter__()

    def work(self, actor: Actor, mayfly: Mayfly) -> None:
        for _ in range(actor.random.randrange(4)):
            mayfly.change(actor.random)
            self.freezer.safepoint("in a short life")
        mayfly.change(actor.random)

    def roam(self, actor: Actor) -> None:
        """Live long, and move all the time."""
        mayfly = self.mayflies[actor.name] = Mayfly(actor.name)
        with self.freezer.register(actor.name) as own:
            while not actor.over:
                mayfly.group = None
                own.move(actor.random.choice(GROUPS))
                mayfly.group = own.group
                mayfly.change(actor.random)
                actor.step()
                if actor.random.random() < 0.1:
                    actor.pause(0.0005)

    def control(self, actor: Actor) -> None:
        actor.pause(self.pause)
        group = actor.random.choice(GROUPS)
        with actor.freeze(group=group) as world:
            self.frozen = group
            before = self.inside()
            actor.check(world)
            actor.pause(self.stand)
            actor.check(world)
            if self.inside() != before:
                raise Violation(f"somebody came, moved or left: {before}, then {self.inside()}")
        actor.step()

    def inside(self) -> dict[str, int]:
        """Who says that it is in the frozen group, and how far it is."""
        return {
            name: mayfly.left
            for name, mayfly in list(self.mayflies.items())
            if (group := mayfly.group) is not None and covers(self.frozen, group)
        }

    def invariant(self, world: World) -> None:
        for name in self.inside():
            self.mayflies[name].check()

    def drift(self, actor: Actor) -> None:
        """Work, in whatever group, with a freezer whose worlds may have threads that run."""
        with self.elsewhere.register(actor.name) as own:
            drifter = self.drifters[actor.name] = Drifter(actor.name, own)
            while not actor.over:
                drifter.change(actor.random)
                self.elsewhere.safepoint("drifting")
                actor.step()
            del self.drifters[actor.name]

    def shove(self, actor: Actor) -> None:
        """Move the drifters."""
        while not actor.over:
            for drifter in list(self.drifters.values()):
                drifter.moves += 1
                try:
                    drifter.own.move(actor.random.choice(GROUPS))
                except NotRegistered:
                    continue  # it has just ended
                drifter.moves += 1
            actor.step()
            actor.pause(0.0005)

    def watch_drifters(self, actor: Actor) -> None:
        """Freeze those of a group, time and again."""
        while not actor.over:
            with self.elsewhere.freeze(group=actor.random.choice(GROUPS), timeout=10) as world:
                frozen = self.frozen_drifters(world)
                actor.pause(self.stand)
                for drifter, moves, changes in frozen:
                    seen = drifter.left, drifter.right  # and then look whether it was moved before
                    if drifter.moves == moves and seen != (changes, changes):
                        raise Violation(
                            f"{drifter.who} was said to be frozen at {changes}, and ran to {seen}"
                        )
            actor.step()
            actor.pause(self.pause)

    def frozen_drifters(self, world: World) -> list[tuple[Drifter, int, int]]:
        """Those that are said to be and are not being moved, with their moves and their changes."""
        moves = {name: drifter.moves for name, drifter in list(self.drifters.items())}
        frozen = []
        for info in world.threads:
            drifter = self.drifters.get(info.name)
            is_settled = moves.get(info.name, 1) % 2 == 0
            if drifter is not None and info.state is State.FROZEN and is_settled:
                frozen.append((drifter, moves[info.name], drifter.left))
        return frozen

    def teardown(self) -> None:
        left = [info.name for info in self.freezer.threads()]
        if left:
            raise Violation(f"all have ended, but these are listed: {', '.join(left)}")

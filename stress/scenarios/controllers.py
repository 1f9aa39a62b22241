"""Controllers that compete: registered and not, for worlds and holds, over groups that overlap."""

from __future__ import annotations

import time
from collections.abc import Iterable

from freezethreads import FreezeError, Hold, World, sync
from freezethreads._ground.arguments import covers
from freezethreads.testing import Actor, Role, Scenario, Violation
from stress._pair import Pair

GROUPS = ("", "a", "a.b", "a.b.c", "e")
OWN = "a.b"
"""The group of the thread that holds itself."""
PATIENT = 6
"""How many times a freeze's usual time-out a controller waits: for its turn, among all these."""


class Member(Pair):
    """The pair of one thread, and its group; None if it is not registered.

    `commands` while it has a world, for which time no hold of its group stands.
    """

    def __init__(self, actor: Actor) -> None:
        super().__init__(actor.name)
        self.commands = False
        self.group = actor.role.group if actor.role.registered else None

    def is_in(self, group: str) -> bool:
        return self.group is not None and covers(group, self.group)


class OwnHold:
    """A hold that a thread took of its own group; `let_go` as soon as another is about to thaw."""

    def __init__(self, hold: Hold) -> None:
        self.hold = hold
        self.let_go = False


class Controllers(Scenario):
    """Many freeze and hold each other, and themselves, all at once.

    Worlds never overlap, so each changes one ledger, which nobody else finds half changed. Holds
    overlap with all: whoever has one finds its group whole and at rest until its own thaw, whatever
    others thaw meanwhile. Registered controllers have pairs too. Two that wait for each other are
    seen as a freeze that times out, or a thread that makes no step.
    """

    controllers = 0

    def setup(self) -> None:
        self.members: list[Member] = []
        self.ledger = Pair("all worlds")
        self.own_holds: sync.SimpleQueue[OwnHold | None] = sync.SimpleQueue()
        self.frozen = ""
        self.mean = 0.0002 * self.threads  # seconds of a rest: not all can run at once
        self.patient = self.freeze_timeout * PATIENT

    def actors(self) -> Iterable[Role]:
        workers = max(1, self.threads - 7)
        for index, group in enumerate(GROUPS):
            yield Role(self.work, (workers + index) // len(GROUPS), group=group)
        yield Role(self.freeze, registered=False)
        yield Role(self.freeze, group="a.b")
        yield Role(self.freeze, group="e")
        yield Role(self.hold, registered=False)
        yield Role(self.hold, group="a")
        yield Role(self.hold, group="e")
        yield Role(self.hold_own, group=OWN)
        yield Role(self.thaw_others, registered=False, idle=True)

    def work(self, actor: Actor) -> None:
        member = self.join(actor)
        while not actor.over:
            self.rest(actor, member)
            actor.step()

    def join(self, actor: Actor) -> Member:
        member = Member(actor)
        self.members.append(member)
        return member

    def rest(self, actor: Actor, member: Member) -> None:
        """Run, as far as the next door."""
        member.change(actor.random)
        if actor.random.random() < 0.5:
            self.freezer.safepoint("at work")
        else:
            actor.pause(self.mean)

    def freeze(self, actor: Actor) -> None:
        member = self.join(actor)
        while not actor.over:
            self.rest(actor, member)
            group = actor.random.choice(GROUPS)
            with actor.freeze(timeout=self.patient, group=group) as world:
                member.commands = True
                self.frozen = group
                self.ledger.change(actor.random)
                actor.check(world)
                self.freeze_again(actor, group)
                actor.pause(self.stand)
                actor.check(world)
                member.commands = False
                held = self.keep(actor, group)
            if held is not None:
                with held:
                    self.look(actor, group)
            actor.step()

    def keep(self, actor: Actor, group: str) -> Hold | None:
        """Now and then a hold that outlives the world. (Who is registered would have to wait for
        those who wait for its world.)"""
        if actor.role.registered or actor.random.random() < 0.5:
            return None
        return self.freezer.hold(timeout=self.patient, group=group)

    def freeze_again(self, actor: Actor, outer: str) -> None:
        """Inside one's own world: at once, if that covers the group, and not at all if not."""
        inner = actor.random.choice(GROUPS)
        try:
            with self.freezer.freeze(group=inner, timeout=0):
                granted = True
        except FreezeError:
            granted = False
        if granted != covers(outer, inner):
            raise Violation(f"inside a world of {outer}, one of {inner} was had: {granted}")

    def hold(self, actor: Actor) -> None:
        member = self.join(actor)
        while not actor.over:
            self.rest(actor, member)
            group = actor.random.choice([each for each in GROUPS if not member.is_in(each)])
            with self.freezer.hold(timeout=self.patient, group=group):
                self.look(actor, group)
                if actor.random.random() < 0.3:
                    with actor.freeze(timeout=self.patient, group=group) as world:
                        self.frozen = group
                        actor.check(world)
            actor.step()

    def hold_own(self, actor: Actor) -> None:
        """Hold one's own group, and stand until another thread thaws."""
        member = self.join(actor)
        while not actor.over:
            self.rest(actor, member)
            own = OwnHold(self.freezer.hold(timeout=self.patient, group=OWN))
            self.look(actor, OWN)
            self.own_holds.put(own)
            self.freezer.safepoint("held by itself")
            if not own.let_go:
                raise Violation(f"{actor.name} went on before its hold was thawed")
            actor.step()
        self.own_holds.put(None)

    def thaw_others(self, actor: Actor) -> None:
        while (own := self.own_holds.get()) is not None:
            actor.pause(self.stand)
            own.let_go = True
            own.hold.thaw()

    def look(self, actor: Actor, group: str) -> None:
        """See whether all others of the group are whole, and at rest for a while."""
        others = [each for each in self.members if each.is_in(group) and each.who != actor.name]
        before = [member.left for member in others]
        for member in others:
            if member.commands:
                raise Violation(f"{member.who} has a world, and is held by {actor.name}")
            member.check()
        time.sleep(self.stand)  # which is no door, since a thread that holds itself would stay
        if [member.left for member in others] != before:
            raise Violation(f"{actor.name} holds {group!r}, and somebody there goes on")

    def invariant(self, world: World) -> None:
        self.ledger.check()
        for member in self.members:
            if member.is_in(self.frozen):
                member.check()
